//! The trainer, by the stream of a session.

use sphinx_linalg::Profile;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{
    Direction as DirectionMessage, Evaluate, EvaluateResult, InputRows, OutputRows,
};
use sphinx_wire::rows::{AwaitedRows, training_rows};

use crate::error::ClientError;
use crate::product::{Evaluation, ResultRows, RowServer, UploadRows};
use crate::training::stream::TrainStream;
use crate::witness::{Product, Sight};

/// One evaluation by the trainer.
pub(crate) struct TrainerRows<'a> {
    stream: &'a mut TrainStream,
    /// Version that the results have to be of.
    version: u64,
    call: u64,
    profile: Profile,
    /// What is evaluated, once it is announced.
    product: Option<Product>,
    /// Output rows, and those that have not come yet.
    outputs: usize,
    awaited: AwaitedRows,
    /// Whether the result's header has come.
    begun: bool,
}

impl<'a> TrainerRows<'a> {
    /// Evaluations by an open stream, the next one numbered `call`.
    pub fn new(stream: &'a mut TrainStream, version: u64, call: u64, profile: Profile) -> Self {
        let awaited = AwaitedRows::new(training_rows(profile), 0, 1);
        Self { stream, version, call, profile, product: None, outputs: 0, awaited, begun: false }
    }

    fn header(&mut self) -> Result<(), ClientError> {
        let reply = self.stream.receive()?;
        let Reply::Result(header) = reply else {
            return Err(self.stream.unexpected(&reply, "result"));
        };
        let (call, version, rows) = (self.call, self.version, self.outputs);
        if (header.call, header.version, header.rows as usize) == (call, version, rows) {
            return Ok(());
        }
        let EvaluateResult { call: got, version: of, rows: with } = header;
        let got = format!("result of call {got} on version {of} with {with} rows");
        let expected = format!("call {call}, version {version}, {rows} rows");
        Err(self.stream.protocol(got, expected))
    }
}

impl RowServer for TrainerRows<'_> {
    fn announce(&mut self, evaluation: &Evaluation<'_>) -> Result<(), ClientError> {
        self.outputs = evaluation.outputs();
        let (stage, direction) = (evaluation.stage, evaluation.direction);
        self.product = Some(Product::Training { stage, direction });
        let bodies = evaluation.blocks * self.profile.bodies();
        let form = training_rows(self.profile);
        self.awaited = AwaitedRows::new(form, self.outputs, bodies);
        let direction = DirectionMessage::from(evaluation.direction);
        self.stream.send(Part::Evaluate(Evaluate {
            call: self.call,
            stage: evaluation.stage as u32,
            direction: direction.into(),
            rows: evaluation.inputs() as u32,
            blocks: evaluation.blocks as u32,
        }))
    }

    fn send(&mut self, rows: UploadRows) -> Result<(), ClientError> {
        if let Some(product) = self.product {
            self.stream.show(Sight::Left { product, bytes: &rows.bodies });
        }
        self.stream.send(Part::Input(InputRows {
            first_row: rows.first_row as u32,
            seeds: rows.seeds,
            bodies: rows.bodies,
        }))
    }

    fn receive(&mut self) -> Result<Option<ResultRows>, ClientError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.header()?;
        }
        if self.awaited.missing() == 0 {
            return Ok(None);
        }
        let reply = self.stream.receive()?;
        let Reply::Output(output) = reply else {
            return Err(self.stream.unexpected(&reply, "output"));
        };
        self.awaited
            .take(&output.rows, output.masks.len(), output.bodies.len())
            .map_err(|wrong| self.stream.protocol(wrong.got, wrong.expected))?;
        let OutputRows { rows, masks, bodies } = output;
        Ok(Some(ResultRows { rows, masks, bodies }))
    }
}
