//! Receiving the encrypted masks of a stage.

use sphinx_linalg::{CipherMatrix, Upload};
use sphinx_proto::conversion::required;
use sphinx_proto::next_message;
use sphinx_proto::v1::PrepareRequest;
use sphinx_proto::v1::prepare_request::Part;
use sphinx_wire::rows::TICKET_ROWS;
use tonic::{Status, Streaming};

use super::Reservation;
use crate::error::InferenceError;

/// Reads the stream to its end; every chunk is expanded on the compute pool while the next one
/// arrives.
pub(super) async fn receive(
    reservation: &Reservation,
    mut parts: Streaming<PrepareRequest>,
) -> Result<CipherMatrix<u64>, Status> {
    let mut upload = Upload::<u64>::new(reservation.stage.inputs(), 1, TICKET_ROWS.upload);
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
        upload = reservation.compute.run(push).await.map_err(InferenceError::from)??;
    }
    Ok(upload.finish().map_err(InferenceError::from)?)
}
