//! The trainer, by the stream of a session.

use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Direction as DirectionMessage, Evaluate, EvaluateResult, InputRows};
use sphinx_wire::rows::{AwaitedRows, TRAINING_ROWS};

use super::{Evaluation, ResultRows, RowServer, UploadRows};
use crate::error::ClientError;
use crate::training::stream::TrainStream;

/// One evaluation by the trainer.
pub(crate) struct TrainerRows<'a> {
    stream: &'a mut TrainStream,
    /// Version that the results have to be of.
    version: u64,
    call: u64,
    evaluation: Option<Evaluation>,
    /// Result rows of each block that have not come yet.
    awaited: Vec<AwaitedRows>,
}

impl<'a> TrainerRows<'a> {
    /// Evaluations by an open stream, the next one numbered `call`.
    pub fn new(stream: &'a mut TrainStream, version: u64, call: u64) -> Self {
        Self { stream, version, call, evaluation: None, awaited: Vec::new() }
    }

    fn check(&self, header: &EvaluateResult) -> Result<(), ClientError> {
        let (rows, channels) = self.evaluation.map_or((0, 0), |e| (e.outputs, e.channels));
        let usable = |scale: &f64| scale.is_finite() && *scale > 0.0;
        let fits = header.call == self.call
            && header.version == self.version
            && header.rows as usize == rows
            && header.scales.len() == channels
            && header.scales.iter().all(usable);
        if fits {
            return Ok(());
        }
        let got = format!(
            "result of call {} on version {} with {} rows and {} scales",
            header.call,
            header.version,
            header.rows,
            header.scales.len()
        );
        let (call, version) = (self.call, self.version);
        let expected = format!("call {call}, version {version}, {rows} rows, {channels} scales");
        Err(self.stream.protocol(got, expected))
    }
}

impl RowServer for TrainerRows<'_> {
    fn announce(&mut self, evaluation: &Evaluation) -> Result<(), ClientError> {
        self.evaluation = Some(*evaluation);
        let rows = AwaitedRows::new(TRAINING_ROWS, evaluation.outputs);
        self.awaited = vec![rows; evaluation.blocks];
        let direction = DirectionMessage::from(evaluation.direction);
        self.stream.send(Part::Evaluate(Evaluate {
            call: self.call,
            stage: evaluation.stage as u32,
            direction: direction.into(),
            rows: evaluation.inputs as u32,
            blocks: evaluation.blocks as u32,
        }))
    }

    fn send(&mut self, rows: UploadRows) -> Result<(), ClientError> {
        self.stream.send(Part::Input(InputRows {
            first_row: rows.first_row as u32,
            seeds: rows.seeds,
            bodies: rows.bodies,
            block: rows.block as u32,
        }))
    }

    fn scales(&mut self) -> Result<Vec<f64>, ClientError> {
        let reply = self.stream.receive()?;
        let Reply::Result(header) = reply else {
            return Err(self.stream.unexpected(&reply, "result"));
        };
        self.check(&header)?;
        Ok(header.scales)
    }

    fn receive(&mut self) -> Result<Option<ResultRows>, ClientError> {
        if self.awaited.iter().all(|rows| rows.missing() == 0) {
            return Ok(None);
        }
        let reply = self.stream.receive()?;
        let Reply::Output(output) = reply else {
            return Err(self.stream.unexpected(&reply, "output"));
        };
        let (block, blocks) = (output.block as usize, self.awaited.len());
        let Some(awaited) = self.awaited.get_mut(block) else {
            let got = format_args!("rows of block {block}");
            return Err(self.stream.protocol(got, format_args!("a block below {blocks}")));
        };
        awaited
            .take(&output.rows, output.masks.len(), output.bodies.len())
            .map_err(|wrong| self.stream.protocol(wrong.got, wrong.expected))?;
        let (rows, masks, bodies) = (output.rows, output.masks, output.bodies);
        Ok(Some(ResultRows { block, rows, masks, bodies }))
    }
}
