//! `SyncTickets`: what turns tickets of one version into tickets of another.

use futures::{StreamExt, stream};
use sphinx_proto::v1::{SyncDifference, SyncTicketsRequest, SyncTicketsResponse};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
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
}

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<SyncTicketsRequest>,
) -> Result<Response<SyncStream>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, request.to_version)).await?;
    let compute = service.compute.of(&tenant);
    let wanted = Synchronisation::parse(tenant, request)?;
    let from = service.models.get(wanted.from, &wanted.key_id).await?;
    let to = service.models.get(wanted.to, &wanted.key_id).await?;
    let compared = compute.run(move || differences(&from, &to)).await;
    let compared = compared.map_err(InferenceError::from)?;
    let message = |difference| Ok(SyncTicketsResponse { difference: Some(difference) });
    let messages = compared.into_iter().map(message);
    Ok(Response::new(stream::iter(messages).boxed()))
}

impl Synchronisation {
    fn parse(tenant: TenantId, request: SyncTicketsRequest) -> Result<Self, ConversionError> {
        let SyncTicketsRequest { model_id, key_id, incarnation, from_version, to_version } =
            request;
        let from = VersionId::parse(tenant, model_id, &incarnation, from_version)?;
        let to = VersionId { version: to_version, ..from.clone() };
        Ok(Self { from, to, key_id: KeyId::parse(key_id)? })
    }
}

/// The differences of all stages.
fn differences(from: &LoadedModel, to: &LoadedModel) -> Vec<SyncDifference> {
    let stages = (0..).zip(from.stages().iter().zip(to.stages()));
    stages
        .flat_map(|(stage, (from, to))| difference::messages(stage, &from.weights, &to.weights))
        .collect()
}
