//! `DeleteModel`.

use sphinx_proto::ModelId;
use sphinx_proto::v1::{DeleteModelRequest, DeleteModelResponse};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::TrainerService;

pub async fn handle(
    service: &TrainerService,
    request: Request<DeleteModelRequest>,
) -> Result<Response<DeleteModelResponse>, Status> {
    let principal = Principal::of(&request)?;
    let model_id = ModelId::parse(request.into_inner().model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    service.store.delete(&tenant, &model_id).await.map_err(TrainerError::from)?;
    tracing::info!(model = %model_id, "model deleted");
    Ok(Response::new(DeleteModelResponse {}))
}
