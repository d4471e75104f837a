//! `GetModel`: the description and, on request, a part of the parameters.

use bytes::Bytes;
use sphinx_models::ModelVersion;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::{GetModelRequest, GetModelResponse};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use sphinx_wire::parameters::{optimizer_vector, weights_part};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, described};
use crate::training::optimizer_state::{self, StoredRuleError};

pub async fn handle(
    service: &TrainerService,
    request: Request<GetModelRequest>,
) -> Result<Response<GetModelResponse>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(request.model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let reply = get(service, &tenant, &model_id, request.version, request.part).await?;
    Ok(Response::new(reply))
}

async fn get(
    service: &TrainerService,
    tenant: &TenantId,
    model_id: &ModelId,
    version: Option<u64>,
    part: Option<Part>,
) -> Result<GetModelResponse, TrainerError> {
    let stored = service.store.get(tenant, model_id).await?;
    let model = described(&stored)?;
    if (&part, version) == (&None, None) {
        return Ok(GetModelResponse { model: Some(model), ..GetModelResponse::default() });
    }
    let version = service.store.load(&stored.meta, version).await?;
    let (weights, optimizer, total) = match part {
        Some(Part::Weights(part)) => {
            let weights = version.weights.get(part.stage as usize);
            let weights = weights.ok_or_else(|| no_stage(part.stage, &version))?;
            let bytes = piece(weights, part.offset, part.count)?;
            (bytes, Bytes::new(), weights.len())
        }
        Some(Part::Optimizer(part)) => {
            let damaged = |cause: StoredRuleError| TrainerError::Damaged {
                model: model_id.clone(),
                cause: cause.to_string(),
            };
            let state = optimizer_state::restore(&version).map_err(damaged)?;
            version
                .weights
                .get(part.stage as usize)
                .ok_or_else(|| no_stage(part.stage, &version))?;
            let vector = state.rule.map(|rule| optimizer_vector(&rule, part.stage as usize));
            let vector = vector.unwrap_or_default();
            let bytes = piece(&vector, part.offset, part.count)?;
            (Bytes::new(), bytes, vector.len())
        }
        None => (Bytes::new(), Bytes::new(), 0),
    };
    let biases = service.store.biases(&stored.meta, version.version).await?;
    let state = Some(version.state(biases.is_some()));
    let model = Some(model);
    Ok(GetModelResponse { model, weights, optimizer, total: total as u64, state })
}

fn no_stage(got: u32, version: &ModelVersion) -> TrainerError {
    TrainerError::Stage { got, stages: version.weights.len() }
}

fn piece(values: &[f32], offset: u64, count: u32) -> Result<Bytes, TrainerError> {
    let bytes = weights_part(values, offset, count);
    bytes.ok_or(TrainerError::Part { offset, total: values.len() })
}
