//! `RevokeKey`: ends the authorisation of a key.

use sphinx_proto::KeyId;
use sphinx_proto::v1::{RevokeKeyRequest, RevokeKeyResponse};
use sphinx_runtime::{Object, Principal, unix_seconds};
use tonic::{Request, Response, Status};

use crate::error::VaultError;
use crate::vault::Vault;

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<RevokeKeyRequest>,
) -> Result<Response<RevokeKeyResponse>, Status> {
    let principal = Principal::of(&request)?;
    let key_id = KeyId::parse(request.into_inner().key_id).map_err(VaultError::from)?;
    let tenant = principal.acts_on(Object::Key(&key_id)).await?;
    let key = vault.revoke(&tenant, &key_id, unix_seconds()).await?;
    tracing::info!(%key_id, fingerprint = key.record.fingerprint, "key revoked");
    Ok(Response::new(RevokeKeyResponse { key: Some(key.into()) }))
}
