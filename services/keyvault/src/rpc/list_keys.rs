//! `ListKeys`: the tenant's keys, by key id.

use sphinx_proto::v1::{ListKeysRequest, ListKeysResponse};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::vault::Vault;

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<ListKeysRequest>,
) -> Result<Response<ListKeysResponse>, Status> {
    let tenant = Principal::of(&request)?.acts_on(Object::Keys).await?;
    let keys = vault.list(&tenant).await?;
    Ok(Response::new(ListKeysResponse { keys: keys.into_iter().map(Into::into).collect() }))
}
