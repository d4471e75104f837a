//! Reading the server's answer to a stage and decrypting it row by row.

use std::future::ready;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use rayon::prelude::*;
use sphinx_linalg::SLOTS;
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{PrepareOutput, PrepareResponse};
use sphinx_secret::SecretKey;
use sphinx_wire::rows::{AwaitedRows, TICKET_ROWS};
use tonic::Streaming;
use zeroize::Zeroizing;

use super::{Interrupted, StageAnswers};
use crate::error::{ClientError, RecognitionError};
use crate::recognition::Recogniser;
use crate::recognition::model::IntegerLayer;
use crate::recognition::offload::offload;

/// Messages being decrypted at once.
const AHEAD: usize = 2;
/// Tickets that are filled together: a cache line of every decrypted row.
const TICKETS: usize = 16;

/// Decrypted rows of one message.
struct Rows {
    numbers: Vec<u32>,
    /// u, row after row, [`SLOTS`] each.
    values: Zeroizing<Vec<u32>>,
}

/// Reads the whole answer: header, then every row once. What is decrypted is used and not judged:
/// a reaction to it would tell the server something of the key. Whether it was right shows when the
/// ticket is used.
pub(super) async fn read(
    recogniser: &Recogniser,
    key: &Arc<SecretKey>,
    stage: usize,
    tickets: usize,
    replies: Streaming<PrepareResponse>,
) -> Result<StageAnswers, Interrupted> {
    let layer = &recogniser.model.stages[stage];
    let counter = &recogniser.counter;
    let mut parts = replies.map_ok(|reply| {
        counter.received(&reply);
        reply.part
    });
    check_head(recogniser, stage, parts.try_next().await?.flatten())?;
    let mut awaited = AwaitedRows::new(TICKET_ROWS, layer.outputs, 1);
    let decrypted = parts
        .map_err(Interrupted::from)
        .and_then(|part| {
            ready(match part {
                Some(Part::Output(output)) => awaited
                    .take(&output.rows, output.masks.len(), output.bodies.len())
                    .map(|()| output)
                    .map_err(|wrong| recogniser.inference.mismatch(wrong).into()),
                Some(Part::Result(_)) | None => {
                    Err(recogniser.inference.protocol("another message", "result rows").into())
                }
            })
        })
        .map_ok(|output| {
            let (model, key) = (Arc::clone(&recogniser.model), Arc::clone(key));
            async move { Ok(offload(move || decrypt(&model.stages[stage], &key, output)).await??) }
        })
        .try_buffered(AHEAD);
    collect(recogniser, stage, tickets, decrypted).await
}

/// Puts decrypted rows in their places and checks that all have come.
async fn collect(
    recogniser: &Recogniser,
    stage: usize,
    tickets: usize,
    rows: impl Stream<Item = Result<Rows, Interrupted>>,
) -> Result<StageAnswers, Interrupted> {
    let outputs = recogniser.model.stages[stage].outputs;
    let zeros = || Zeroizing::new(vec![0; outputs]);
    let mut answers: StageAnswers = (0..tickets).map(|_| zeros()).collect();
    let mut count = 0;
    let mut rows = std::pin::pin!(rows);
    while let Some(rows) = rows.try_next().await? {
        count += rows.numbers.len();
        let place = move || {
            scatter(&rows, &mut answers);
            answers
        };
        answers = offload(place).await?;
    }
    if count == outputs {
        Ok(answers)
    } else {
        let got = format_args!("{count} rows of stage {stage}");
        Err(recogniser.inference.protocol(got, outputs).into())
    }
}

fn check_head(
    recogniser: &Recogniser,
    stage: usize,
    part: Option<Part>,
) -> Result<(), ClientError> {
    let (layer, service) = (&recogniser.model.stages[stage], &recogniser.inference);
    let Some(Part::Result(head)) = part else {
        return Err(service.protocol("another message", "the header of a result"));
    };
    let (got, expected) = (head.version, recogniser.model.version);
    if got != expected {
        return Err(RecognitionError::VersionMismatch { got, expected }.into());
    }
    let (got, expected) = (head.rows as usize, layer.outputs);
    if got == expected {
        Ok(())
    } else {
        Err(service.protocol(format_args!("{got} rows"), expected))
    }
}

/// Decrypts the rows of one message: u = W r + b modulo 2 to the ticket's bits, exactly.
fn decrypt(
    layer: &IntegerLayer,
    key: &SecretKey,
    output: PrepareOutput,
) -> Result<Rows, ClientError> {
    let dropped = 64 - layer.ticket_bits;
    let low = u32::MAX >> (32 - layer.ticket_bits);
    let biases = layer.biases.words();
    let mut values = Zeroizing::new(vec![0; output.rows.len() * SLOTS]);
    let decode = |row: usize, phase: &[u64], out: &mut [u32]| {
        let bias = biases[output.rows[row] as usize / layer.rows_per_channel];
        for (value, &phase) in out.iter_mut().zip(phase) {
            let rounded = phase.wrapping_add(1 << (dropped - 1)) >> dropped;
            *value = (rounded as u32).wrapping_add(bias) & low;
        }
    };
    let (masks, bodies) = ((&*output.masks, TICKET_ROWS.mask), (&*output.bodies, TICKET_ROWS.body));
    key.decrypt_rows::<u64, u32>(masks, bodies, &mut values, decode)?;
    Ok(Rows { numbers: output.rows, values })
}

/// From row after row to ticket after ticket.
fn scatter(rows: &Rows, answers: &mut StageAnswers) {
    answers.par_chunks_mut(TICKETS).enumerate().for_each(|(chunk, tickets)| {
        for (&row, values) in rows.numbers.iter().zip(rows.values.chunks_exact(SLOTS)) {
            for (ticket, &value) in tickets.iter_mut().zip(&values[chunk * TICKETS..]) {
                ticket[row as usize] = value;
            }
        }
    });
}
