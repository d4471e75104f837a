//! `GetKey`: what is registered under one key id.

use sphinx_proto::conversion::key_kind;
use sphinx_proto::v1::{GetKeyRequest, GetKeyResponse, KeyKind};
use sphinx_proto::{ConversionError, KeyId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::vault::Vault;

/// Which key to describe.
struct Lookup {
    key_id: KeyId,
    kind: KeyKind,
}

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<GetKeyRequest>,
) -> Result<Response<GetKeyResponse>, Status> {
    let principal = Principal::of(&request)?;
    let lookup = Lookup::try_from(request.into_inner())?;
    let tenant = principal.acts_on(Object::Key(&lookup.key_id)).await?;
    let key = vault.get(&tenant, lookup.kind, &lookup.key_id).await?;
    Ok(Response::new(GetKeyResponse { key: Some(key.into()) }))
}

impl TryFrom<GetKeyRequest> for Lookup {
    type Error = ConversionError;

    fn try_from(request: GetKeyRequest) -> Result<Self, ConversionError> {
        let kind = match request.kind {
            // What requests made by hand leave out.
            0 => KeyKind::Identity,
            kind => key_kind(kind)?,
        };
        Ok(Self { key_id: KeyId::parse(request.key_id)?, kind })
    }
}
