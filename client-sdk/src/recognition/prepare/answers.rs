//! Reading the server's answer to a stage and decrypting it row by row.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, TryStreamExt};
use rayon::prelude::*;
use sphinx_linalg::SLOTS;
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{PrepareOutput, PrepareResponse};
use sphinx_wire::rows::{AwaitedRows, TICKET_ROWS};
use tonic::Streaming;
use zeroize::Zeroizing;

use super::{Interrupted, StageAnswers, biases};
use crate::error::{ClientError, ClientKeyError, RecognitionError};
use crate::recognition::Recogniser;
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

/// Reads the whole answer: header, biases, then every row once.
pub(super) async fn read(
    recogniser: &Recogniser,
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
    let mut biases = Zeroizing::new(Vec::with_capacity(layer.scales.len()));
    while biases.len() < layer.scales.len() {
        let Some(Part::Biases(message)) = parts.try_next().await?.flatten() else {
            let got = format_args!("{} biases", biases.len());
            return Err(recogniser.inference.protocol(got, layer.scales.len()).into());
        };
        let (recogniser, first) = (recogniser.clone(), biases.len());
        let decrypt =
            move || biases::decrypt(&recogniser, &recogniser.model, stage, first, &message);
        biases.append(&mut *offload(decrypt).await??);
    }
    layer.biases.learn(&biases);
    let biases = Arc::new(biases);
    let mut awaited = AwaitedRows::new(TICKET_ROWS, layer.outputs);
    let decrypted = parts
        .map_err(Interrupted::from)
        .and_then(|part| {
            ready(match part {
                Some(Part::Output(output)) => awaited
                    .take(&output.rows, output.masks.len(), output.bodies.len())
                    .map(|()| output)
                    .map_err(|wrong| recogniser.inference.mismatch(wrong).into()),
                Some(Part::Result(_) | Part::Biases(_)) | None => {
                    Err(recogniser.inference.protocol("another message", "result rows").into())
                }
            })
        })
        .map_ok(|output| {
            let (recogniser, biases) = (recogniser.clone(), Arc::clone(&biases));
            async move { Ok(offload(move || decrypt(&recogniser, stage, &biases, output)).await??) }
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
    let got = (head.rows as usize, head.biases as usize);
    let expected = (layer.outputs, layer.scales.len());
    if got == expected {
        Ok(())
    } else {
        let text = |(rows, biases)| format!("{rows} rows and {biases} biases");
        Err(service.protocol(text(got), text(expected)))
    }
}

/// Decrypts the rows of one message: u = W r + b modulo 2 to the ticket's bits, exactly.
fn decrypt(
    recogniser: &Recogniser,
    stage: usize,
    biases: &[u32],
    output: PrepareOutput,
) -> Result<Rows, ClientError> {
    let layer = &recogniser.model.stages[stage];
    let dropped = 64 - layer.ticket_bits;
    let low = u32::MAX >> (32 - layer.ticket_bits);
    let worst_noise = AtomicU64::new(0);
    let mut values = Zeroizing::new(vec![0; output.rows.len() * SLOTS]);
    let decode = |row: usize, phase: &[u64], out: &mut [u32]| {
        let bias = biases[output.rows[row] as usize / layer.rows_per_channel];
        let mut worst = 0;
        for (value, &phase) in out.iter_mut().zip(phase) {
            let rounded = phase.wrapping_add(1 << (dropped - 1)) >> dropped;
            let noise = phase.wrapping_sub(rounded << dropped).cast_signed();
            worst = worst.max(noise.unsigned_abs());
            *value = (rounded as u32).wrapping_add(bias) & low;
        }
        worst_noise.fetch_max(worst, Ordering::Relaxed);
    };
    let (masks, bodies) = ((&*output.masks, TICKET_ROWS.mask), (&*output.bodies, TICKET_ROWS.body));
    recogniser.key.decrypt_rows::<u64, u32>(masks, bodies, &mut values, decode)?;
    if worst_noise.into_inner() > layer.noise_limit {
        return Err(ClientKeyError::WrongKey { key_id: recogniser.model.key_id.to_string() }.into());
    }
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
