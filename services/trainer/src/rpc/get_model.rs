//! `GetModel`: the description and, on request, a part of the parameters.

use bytes::Bytes;
use sphinx_models::ModelVersion;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::{BiasesPart, GetModelRequest, GetModelResponse, WeightsPart};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::Principal;
use sphinx_wire::parameters;
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<GetModelRequest>,
) -> Result<Response<GetModelResponse>, Status> {
    let Principal { tenant } = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(request.model_id)?;
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
    let Some(part) = part else {
        return Ok(GetModelResponse { model: Some(model), ..GetModelResponse::default() });
    };
    let parameters = service.store.load(&stored.meta, version).await?;
    let (weights, biases, total) = match part {
        Part::Weights(part) => {
            let (bytes, total) = weights(&parameters, &part)?;
            (bytes, Bytes::new(), total)
        }
        Part::Biases(part) => {
            let (bytes, total) = biases(&parameters, &part)?;
            (Bytes::new(), bytes, total)
        }
    };
    Ok(GetModelResponse { model: Some(model), weights, biases, total: total as u64 })
}

fn weights(version: &ModelVersion, part: &WeightsPart) -> Result<(Bytes, usize), TrainerError> {
    let stages = version.weights.len();
    let weights = version.weights.get(part.stage as usize);
    let weights = weights.ok_or(TrainerError::Stage { got: part.stage, stages })?;
    let (offset, total) = (part.offset, weights.len());
    let bytes = parameters::weights_part(weights, offset, part.count);
    Ok((bytes.ok_or(TrainerError::Part { offset, total })?, total))
}

fn biases(version: &ModelVersion, part: &BiasesPart) -> Result<(Bytes, usize), TrainerError> {
    let stages = version.biases.len();
    let biases = version.biases.get(part.stage as usize);
    let biases = biases.ok_or(TrainerError::Stage { got: part.stage, stages })?;
    let (offset, total) = (u64::from(part.offset), parameters::stored_biases(biases));
    let bytes = parameters::biases_part(biases, part.offset, part.count);
    Ok((bytes.ok_or(TrainerError::Part { offset, total })?, total))
}
