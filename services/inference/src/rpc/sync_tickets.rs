//! `SyncTickets`: what turns tickets of one version into tickets of another.

use std::sync::Arc;

use futures::{StreamExt, stream};
use sphinx_proto::v1::sync_tickets_response::Part;
use sphinx_proto::v1::{SyncBiases, SyncDifference, SyncTicketsRequest, SyncTicketsResponse};
use sphinx_proto::{ConversionError, KeyId, TenantId};
use sphinx_runtime::Principal;
use sphinx_wire::difference;
use tonic::{Request, Response, Status};

use crate::error::InferenceError;
use crate::model::LoadedModel;
use crate::models::VersionId;
use crate::service::{InferenceService, SyncStream};

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

/// The differences of all stages.
fn differences(from: &LoadedModel, to: &LoadedModel) -> Vec<SyncDifference> {
    let stages = (0..).zip(from.stages().iter().zip(to.stages()));
    stages
        .flat_map(|(stage, (from, to))| difference::messages(stage, &from.weights, &to.weights))
        .collect()
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
