//! `DeleteKey`: removes evaluation keys.

use sphinx_proto::KeyId;
use sphinx_proto::conversion::key_kind;
use sphinx_proto::v1::{DeleteKeyRequest, DeleteKeyResponse, KeyKind};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::VaultError;
use crate::layout::KeyRecord;
use crate::vault::Vault;

/// Which evaluation keys to remove.
struct Deletion {
    key_id: KeyId,
}

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<DeleteKeyRequest>,
) -> Result<Response<DeleteKeyResponse>, Status> {
    let principal = Principal::of(&request)?;
    let deletion = Deletion::try_from(request.into_inner())?;
    let tenant = principal.acts_on(Object::Key(&deletion.key_id)).await?;
    let key = vault.delete_evaluation(&tenant, &deletion.key_id).await?;
    let KeyRecord { key_id, fingerprint, .. } = &key.record;
    tracing::info!(key_id, fingerprint, "evaluation keys removed");
    Ok(Response::new(DeleteKeyResponse { key: Some(key.into()) }))
}

impl TryFrom<DeleteKeyRequest> for Deletion {
    type Error = VaultError;

    fn try_from(request: DeleteKeyRequest) -> Result<Self, VaultError> {
        let key_id = KeyId::parse(request.key_id)?;
        match key_kind(request.kind)? {
            KeyKind::Evaluation => Ok(Self { key_id }),
            KeyKind::Identity | KeyKind::Unspecified => Err(VaultError::Kind { got: request.kind }),
        }
    }
}
