//! `FindUpload`: how much of a material is stored.

use sphinx_proto::conversion::required;
use sphinx_proto::v1::{FindUploadRequest, FindUploadResponse, KeyKind};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::material::Announcement;
use crate::vault::Vault;

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<FindUploadRequest>,
) -> Result<Response<FindUploadResponse>, Status> {
    let principal = Principal::of(&request)?;
    let mut header = required("header", "a KeyHeader", request.into_inner().header)?;
    header.offset = 0;
    let announced = Announcement::parse(header, vault.limits())?;
    let tenant = principal.acts_on(Object::Key(&announced.key_id)).await?;
    let stored_bytes = if announced.kind == KeyKind::Evaluation {
        let sha256 = hex::encode(announced.sha256);
        let stored = vault.parts.stored_bytes(&tenant, &sha256, announced.material_bytes);
        stored.await.map_err(crate::error::VaultError::from)?
    } else {
        0
    };
    let limits = Some((*vault.limits()).into());
    Ok(Response::new(FindUploadResponse { stored_bytes, limits }))
}
