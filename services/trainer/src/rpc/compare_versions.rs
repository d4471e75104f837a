//! `CompareVersions`: how far the weights of two versions lie apart.

use sphinx_models::ModelVersion;
use sphinx_proto::v1::{CompareVersionsRequest, CompareVersionsResponse, StageDifference};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::TrainerService;

/// Two versions, each of a model; `None` is the newest.
struct Comparison {
    one: (ModelId, Option<u64>),
    other: (ModelId, Option<u64>),
}

pub async fn handle(
    service: &TrainerService,
    request: Request<CompareVersionsRequest>,
) -> Result<Response<CompareVersionsResponse>, Status> {
    let principal = Principal::of(&request)?;
    let CompareVersionsRequest { model_id, version, other_model_id, other_version } =
        request.into_inner();
    let model_id = ModelId::parse(model_id)?;
    let other_id = match other_model_id.is_empty() {
        true => model_id.clone(),
        false => ModelId::parse(other_model_id)?,
    };
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    if other_id != model_id {
        principal.acts_on(Object::Model(&other_id)).await?;
    }
    let comparison = Comparison { one: (model_id, version), other: (other_id, other_version) };
    Ok(Response::new(compare(&service.of(&tenant), &tenant, comparison).await?))
}

async fn compare(
    service: &TrainerService,
    tenant: &TenantId,
    Comparison { one, other }: Comparison,
) -> Result<CompareVersionsResponse, TrainerError> {
    let first = load(service, tenant, &one).await?;
    let second = load(service, tenant, &other).await?;
    let shape = |version: &ModelVersion| version.weights.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(&first) != shape(&second) {
        return Err(TrainerError::OtherShape { model: one.0, other: other.0 });
    }
    Ok(service.compute.run(move || compared(&first, &second)).await?)
}

async fn load(
    service: &TrainerService,
    tenant: &TenantId,
    (model, version): &(ModelId, Option<u64>),
) -> Result<ModelVersion, TrainerError> {
    let stored = service.store.get(tenant, model).await?;
    Ok(service.store.load(&stored.meta, *version).await?)
}

fn compared(one: &ModelVersion, other: &ModelVersion) -> CompareVersionsResponse {
    let stages = one.weights.iter().zip(&other.weights);
    let difference = |(stage, (one, other)): (usize, (&Vec<f32>, &Vec<f32>))| {
        let apart = || one.iter().zip(other).map(|(a, b)| f64::from(*a) - f64::from(*b));
        StageDifference {
            stage: stage as u32,
            weights: one.len() as u64,
            norm: norm(one.iter().copied().map(f64::from)),
            other_norm: norm(other.iter().copied().map(f64::from)),
            difference_norm: norm(apart()),
            largest_difference: apart().map(f64::abs).fold(0.0, f64::max),
        }
    };
    CompareVersionsResponse {
        version: one.version,
        other_version: other.version,
        equal: one.hashes.weights == other.hashes.weights,
        stages: stages.enumerate().map(difference).collect(),
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
