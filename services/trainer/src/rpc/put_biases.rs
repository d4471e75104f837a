//! `PutBiases`: the encrypted biases of a version, for recognition in one shot.

use prost::Message;
use sphinx_linalg::EncryptedBiases;
use sphinx_proto::v1::{PutBiasesRequest, PutBiasesResponse};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, network};

pub async fn handle(
    service: &TrainerService,
    request: Request<PutBiasesRequest>,
) -> Result<Response<PutBiasesResponse>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, request.version)).await?;
    put(service, &tenant, model_id, request).await?;
    Ok(Response::new(PutBiasesResponse {}))
}

async fn put(
    service: &TrainerService,
    tenant: &TenantId,
    model_id: ModelId,
    request: PutBiasesRequest,
) -> Result<(), TrainerError> {
    let stored = service.store.get(tenant, &model_id).await?;
    if stored.meta.incarnation != *request.incarnation {
        return Err(TrainerError::OtherIncarnation { model: model_id });
    }
    let plan = network(&stored.meta)?.plan;
    let (got, expected) = (request.stages.len(), plan.stages.len());
    if got != expected {
        return Err(TrainerError::BiasStages { got, expected });
    }
    for (biases, stage) in request.stages.iter().zip(&plan.stages) {
        let count = stage.linear.bias_count();
        EncryptedBiases::from_samples(&biases.seeds, &biases.bodies, count)?;
    }
    let version = request.version;
    let bytes = PutBiasesRequest { stages: request.stages, ..PutBiasesRequest::default() };
    service.require_room(tenant, bytes.encoded_len() as u64).await?;
    service.store.put_biases(&stored.meta, version, bytes.encode_to_vec().into()).await?;
    tracing::info!(model = %stored.meta.model_id, version, "biases for one shot stored");
    Ok(())
}
