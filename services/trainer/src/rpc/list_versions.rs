//! `ListVersions`: the history of a model, as far as it is kept.

use sphinx_proto::v1::{ListVersionsRequest, ListVersionsResponse};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::summary::Summaries;

pub async fn handle(
    service: &TrainerService,
    request: Request<ListVersionsRequest>,
) -> Result<Response<ListVersionsResponse>, Status> {
    let principal = Principal::of(&request)?;
    let model_id = ModelId::parse(request.into_inner().model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    Ok(Response::new(list(service, &tenant, &model_id).await?))
}

async fn list(
    service: &TrainerService,
    tenant: &TenantId,
    model_id: &ModelId,
) -> Result<ListVersionsResponse, TrainerError> {
    let meta = service.store.get(tenant, model_id).await?.meta;
    let (mut summaries, mut versions) = (Summaries::new(), Vec::new());
    for number in service.store.kept(&meta).await? {
        versions.extend(summaries.read(&service.store, &meta, number).await?);
    }
    Ok(ListVersionsResponse { versions })
}
