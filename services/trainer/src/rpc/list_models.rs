//! `ListModels`.

use sphinx_proto::v1::{ListModelsRequest, ListModelsResponse};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<ListModelsRequest>,
) -> Result<Response<ListModelsResponse>, Status> {
    let tenant = Principal::of(&request)?.acts_on(Object::Models).await?;
    let stored = service.store.list(&tenant).await.map_err(TrainerError::from)?;
    let models = stored.iter().map(described).collect::<Result<_, _>>()?;
    Ok(Response::new(ListModelsResponse { models }))
}
