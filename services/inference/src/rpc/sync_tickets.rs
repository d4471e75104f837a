//! `SyncTickets`: what turns tickets of one version into tickets of another.

use std::sync::Arc;

use futures::{StreamExt, stream};
use sphinx_linalg::{pack_bits, packed_bits_len};
use sphinx_proto::v1::sync_tickets_response::Part;
use sphinx_proto::v1::{SyncBiases, SyncDifference, SyncTicketsRequest, SyncTicketsResponse};
use sphinx_proto::{ConversionError, KeyId, TenantId};
use sphinx_quantise::weight_difference;
use sphinx_runtime::Principal;
use tonic::{Request, Response, Status};

use crate::error::InferenceError;
use crate::model::LoadedModel;
use crate::models::VersionId;
use crate::service::{InferenceService, SyncStream};

/// Weights per message: at most 1.2 MB.
const WEIGHTS_PER_MESSAGE: usize = 1 << 20;

/// Between which versions tickets are to be carried.
struct Synchronisation {
    from: VersionId,
    to: VersionId,
    key_id: KeyId,
    old_biases: bool,
}

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<SyncTicketsRequest>,
) -> Result<Response<SyncStream>, Status> {
    let Principal { tenant } = Principal::of(&request)?;
    let wanted = Synchronisation::parse(tenant, request.into_inner())?;
    let from = service.models.get(wanted.from, &wanted.key_id).await?;
    let to = service.models.get(wanted.to, &wanted.key_id).await?;
    let (old, new) = (Arc::clone(&from), Arc::clone(&to));
    let compared = service.compute.run(move || differences(&old, &new)).await;
    let compared = compared.map_err(InferenceError::from)?;
    // Copied message by message, as the client reads.
    let old_biases = wanted.old_biases.then(|| biases(from)).into_iter().flatten();
    let biases = biases(to).chain(old_biases).map(Part::Biases);
    let parts = compared.into_iter().map(Part::Difference).chain(biases);
    let messages = parts.map(|part| Ok(SyncTicketsResponse { part: Some(part) }));
    Ok(Response::new(stream::iter(messages).boxed()))
}

impl Synchronisation {
    fn parse(tenant: TenantId, request: SyncTicketsRequest) -> Result<Self, ConversionError> {
        let SyncTicketsRequest { model_id, key_id, incarnation, from_version, to_version, .. } =
            request;
        let from = VersionId::parse(tenant, model_id, &incarnation, from_version)?;
        let to = VersionId { version: to_version, ..from.clone() };
        let (key_id, old_biases) = (KeyId::parse(key_id)?, request.old_biases);
        Ok(Self { from, to, key_id, old_biases })
    }
}

/// The differences of all stages: 0 to 9 bits per weight.
fn differences(from: &LoadedModel, to: &LoadedModel) -> Vec<SyncDifference> {
    let stages = (0..).zip(from.stages().iter().zip(to.stages()));
    let messages = stages.flat_map(|(stage, (from, to))| {
        let firsts = (0u32..).step_by(WEIGHTS_PER_MESSAGE);
        let from = from.weights.chunks(WEIGHTS_PER_MESSAGE);
        let pieces = firsts.zip(from.zip(to.weights.chunks(WEIGHTS_PER_MESSAGE)));
        pieces.map(move |(first, (from, to))| difference(stage, first, from, to))
    });
    messages.collect()
}

fn difference(stage: u32, first: u32, from: &[i8], to: &[i8]) -> SyncDifference {
    let folded: Vec<u32> = weight_difference(from, to).into_iter().map(zigzag).collect();
    let bits =
        folded.iter().fold(0, |all, word| all | word).checked_ilog2().map_or(0, |log| log + 1);
    let mut values = vec![0; packed_bits_len(folded.len(), bits)];
    if bits > 0 {
        pack_bits(&folded, bits, &mut values);
    }
    SyncDifference { stage, first, count: folded.len() as u32, bits, values: values.into() }
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
fn zigzag(value: i32) -> u32 {
    value.unsigned_abs() * 2 - u32::from(value < 0)
}

/// The encrypted biases of a version, message by message.
fn biases(model: Arc<LoadedModel>) -> impl Iterator<Item = SyncBiases> + Send {
    let places = (0..).zip(model.stages()).flat_map(|(index, stage)| {
        (0..stage.biases.messages()).map(move |message| (index, message))
    });
    let places: Vec<(u32, usize)> = places.collect();
    places.into_iter().filter_map(move |(stage, message)| {
        let biases = model.stages().get(stage as usize)?.biases.message(message);
        Some(SyncBiases { stage, version: model.version, biases: Some(biases) })
    })
}

#[cfg(test)]
mod tests {
    use sphinx_linalg::unpack_bits;

    use super::*;

    #[test]
    fn equal_weights_take_no_bytes_and_the_largest_difference_nine_bits() {
        let none = difference(3, 7, &[5, -127, 0], &[5, -127, 0]);
        assert_eq!((none.stage, none.first, none.count, none.bits), (3, 7, 3, 0));
        assert!(none.values.is_empty());
        let most = difference(0, 0, &[127, -127, 1, 2], &[-127, 127, 2, 1]);
        assert_eq!((most.count, most.bits), (4, 9));
        let mut words = [0; 4];
        unpack_bits(&most.values, most.bits, &mut words);
        assert_eq!(words, [507, 508, 2, 1]);
    }
}
