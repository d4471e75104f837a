//! `GetKey`: what is registered under one key id.

use sphinx_proto::{
    ConversionError, KeyId,
    v1::{GetKeyRequest, GetKeyResponse},
};
use sphinx_runtime::tenant;
use tonic::{Request, Response, Status};

use crate::vault::Vault;

/// A checked request.
struct Query {
    key_id: KeyId,
}

pub(super) async fn handle(
    vault: &Vault,
    request: Request<GetKeyRequest>,
) -> Result<Response<GetKeyResponse>, Status> {
    let tenant = tenant(request.metadata())?;
    let query = Query::try_from(request.into_inner())?;
    let key = vault.get(&tenant, &query.key_id).await?;
    Ok(Response::new(GetKeyResponse { key: Some(key.into()) }))
}

impl TryFrom<GetKeyRequest> for Query {
    type Error = ConversionError;

    fn try_from(request: GetKeyRequest) -> Result<Self, ConversionError> {
        Ok(Self { key_id: KeyId::parse(request.key_id)? })
    }
}
