//! The answer to `Prepare`: the header, then result rows as they are finished.

use futures::{Stream, StreamExt, TryStreamExt, stream};
use sphinx_linalg::{CipherMatrix, ROW_WORDS, SLOTS, Unit};
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{PrepareOutput, PrepareRequest, PrepareResponse, PrepareResult};
use sphinx_wire::rows::TICKET_ROWS;
use tonic::{Status, Streaming};

use super::{Reservation, upload};
use crate::error::InferenceError;
use crate::units::answers;

pub(super) fn stream(
    reservation: Reservation,
    parts: Streaming<PrepareRequest>,
) -> impl Stream<Item = Result<PrepareResponse, Status>> + Send + 'static {
    let head = head(&reservation);
    let results = async move {
        let inputs = upload::receive(&reservation, parts).await?;
        count(&reservation, &inputs);
        Ok::<_, Status>(results(reservation, inputs))
    };
    stream::once(std::future::ready(Ok(head))).chain(stream::once(results).try_flatten())
}

/// The message that does not depend on the inputs.
fn head(reservation: &Reservation) -> PrepareResponse {
    let stage = &reservation.stage;
    let result =
        Part::Result(PrepareResult { version: reservation.version, rows: stage.outputs() as u32 });
    PrepareResponse { part: Some(result) }
}

/// Counts what is about to be computed.
fn count(reservation: &Reservation, inputs: &CipherMatrix<u64>) {
    let map = reservation.stage.cipher.map();
    let multiply_adds = map.multiply_adds() as u64 * inputs.columns() as u64;
    reservation.work.product(map.inputs(), map.outputs(), multiply_adds);
    if reservation.first {
        reservation.work.images(SLOTS);
    }
}

/// Result rows, unit by unit.
fn results(
    reservation: Reservation,
    inputs: CipherMatrix<u64>,
) -> impl Stream<Item = Result<PrepareResponse, Status>> + Send + 'static {
    let (compute, units) = (reservation.compute.clone(), reservation.stage.cipher.units(ROW_WORDS));
    answers(compute, units, move |unit| output(&reservation, unit, &inputs))
}

/// Computes and packs the rows of one unit: at most 1.3 MB.
fn output(
    reservation: &Reservation,
    unit: &Unit,
    inputs: &CipherMatrix<u64>,
) -> Result<PrepareResponse, InferenceError> {
    let outputs = reservation.stage.cipher.evaluate(unit, inputs)?;
    let packed = TICKET_ROWS.pack(&outputs);
    let (masks, bodies) = (packed.masks.into(), packed.bodies.into());
    let output = PrepareOutput { rows: outputs.rows, masks, bodies };
    Ok(PrepareResponse { part: Some(Part::Output(output)) })
}
