//! The answer to `InferBatch`: the header, then result rows as they are finished.

use futures::{Stream, StreamExt, TryStreamExt, stream};
use sphinx_linalg::{CipherMatrix, SLOTS, Unit, Upload};
use sphinx_proto::conversion::required;
use sphinx_proto::next_message;
use sphinx_proto::v1::infer_batch_request::Part;
use sphinx_proto::v1::infer_batch_response::Part as Reply;
use sphinx_proto::v1::{InferBatchRequest, InferBatchResponse, InferBatchResult, OutputRows};
use sphinx_wire::rows::training_rows;
use tonic::{Status, Streaming};

use super::Reservation;
use crate::error::InferenceError;
use crate::units::answers;

pub(super) fn stream(
    reservation: Reservation,
    parts: Streaming<InferBatchRequest>,
) -> impl Stream<Item = Result<InferBatchResponse, Status>> + Send + 'static {
    let (version, rows) = (reservation.version, reservation.product.map().outputs() as u32);
    let head = reply(Reply::Result(InferBatchResult { version, rows }));
    let results = async move {
        let inputs = receive(&reservation, parts).await?;
        count(&reservation, &inputs);
        Ok::<_, Status>(results(reservation, inputs))
    };
    stream::once(std::future::ready(Ok(head))).chain(stream::once(results).try_flatten())
}

fn reply(part: Reply) -> InferBatchResponse {
    InferBatchResponse { part: Some(part) }
}

/// Reads the stream to its end; every chunk is expanded on the compute pool while the next one
/// arrives.
async fn receive(
    reservation: &Reservation,
    mut parts: Streaming<InferBatchRequest>,
) -> Result<CipherMatrix<u32>, Status> {
    let Reservation { product, profile, blocks, compute, .. } = reservation;
    let mut upload = Upload::of(*profile, product.map().inputs(), *blocks);
    while let Some(message) = next_message(&mut parts).await? {
        let input = match required("part", "input rows", message.part)? {
            Part::Input(input) => input,
            Part::Header(_) => {
                return Err(InferenceError::SecondHeader { received: upload.received() }.into());
            }
        };
        let first_row = usize::try_from(input.first_row).unwrap_or(usize::MAX);
        let push = move || {
            upload.push(first_row, &input.seeds, &input.bodies)?;
            Ok::<_, InferenceError>(upload)
        };
        upload = compute.run(push).await.map_err(InferenceError::from)??;
    }
    Ok(upload.finish().map_err(InferenceError::from)?)
}

/// Counts what is about to be computed.
fn count(reservation: &Reservation, inputs: &CipherMatrix<u32>) {
    let (map, blocks) = (reservation.product.map(), reservation.blocks);
    let multiply_adds = map.multiply_adds() as u64 * inputs.columns() as u64;
    reservation.work.product(map.inputs() * blocks, map.outputs() * blocks, multiply_adds);
    reservation.work.images(blocks * SLOTS);
}

/// Result rows, unit by unit.
fn results(
    reservation: Reservation,
    inputs: CipherMatrix<u32>,
) -> impl Stream<Item = Result<InferBatchResponse, Status>> + Send + 'static {
    let (compute, units) =
        (reservation.compute.clone(), reservation.product.units(inputs.columns()));
    answers(compute, units, move |unit| output(&reservation, unit, &inputs))
}

fn output(
    reservation: &Reservation,
    unit: &Unit,
    inputs: &CipherMatrix<u32>,
) -> Result<InferBatchResponse, InferenceError> {
    let outputs = reservation.product.evaluate(unit, inputs)?;
    let packed = training_rows(reservation.profile).pack(&outputs);
    let (masks, bodies) = (packed.masks.into(), packed.bodies.into());
    Ok(reply(Reply::Output(OutputRows { rows: outputs.rows, masks, bodies })))
}
