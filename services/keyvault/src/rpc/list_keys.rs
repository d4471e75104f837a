//! `ListKeys`: the tenant's keys, by key id.

use sphinx_proto::v1::{ListKeysRequest, ListKeysResponse};
use sphinx_runtime::Principal;
use tonic::{Request, Response, Status};

use crate::vault::Vault;

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<ListKeysRequest>,
) -> Result<Response<ListKeysResponse>, Status> {
    let Principal { tenant } = Principal::of(&request)?;
    let keys = vault.list(&tenant).await?;
    Ok(Response::new(ListKeysResponse { keys: keys.into_iter().map(Into::into).collect() }))
}
