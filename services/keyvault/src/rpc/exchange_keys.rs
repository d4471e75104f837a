//! `ExchangeKeys`: registers key material that comes as a stream.

use std::time::{SystemTime, UNIX_EPOCH};

use sphinx_proto::{
    conversion::required,
    v1::{ExchangeKeysRequest, ExchangeKeysResponse, KeyHeader, exchange_keys_request::Part},
};
use sphinx_runtime::tenant;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    config::VaultLimits,
    error::VaultError,
    material::{Announcement, CheckedKey, Upload},
    vault::Vault,
};

pub(super) async fn handle(
    vault: &Vault,
    request: Request<Streaming<ExchangeKeysRequest>>,
) -> Result<Response<ExchangeKeysResponse>, Status> {
    let tenant = tenant(request.metadata())?;
    let key = receive(request.into_inner(), vault.limits()).await?;
    let registered = vault.register(&tenant, key, now_unix_seconds()).await?;
    let (key, already) = (registered.key, registered.already);
    tracing::info!(key_id = key.key_id, fingerprint = key.fingerprint, already, "key registered");
    Ok(Response::new(ExchangeKeysResponse {
        key: Some(key.into()),
        already_registered: already,
        limits: Some((*vault.limits()).into()),
    }))
}

/// Reads the stream to its end: a header, then the material.
async fn receive(
    mut parts: Streaming<ExchangeKeysRequest>,
    limits: &VaultLimits,
) -> Result<CheckedKey, Status> {
    let header = header(parts.message().await?)?;
    let announced = Announcement::parse(header, limits)?;
    let mut upload = Upload::new(announced, limits);
    while let Some(message) = parts.message().await? {
        match required("part", "a chunk", message.part)? {
            Part::Chunk(chunk) => upload.push(&chunk)?,
            Part::Header(_) => {
                return Err(VaultError::SecondHeader { received: upload.received() }.into());
            }
        }
    }
    Ok(upload.finish()?)
}

fn header(first: Option<ExchangeKeysRequest>) -> Result<KeyHeader, Status> {
    let expected = "a KeyHeader in the first message";
    match first.and_then(|message| message.part) {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Chunk(_)) | None => Ok(required("header", expected, None)?),
    }
}

fn now_unix_seconds() -> i64 {
    // A clock before 1970 is shown as 1970: the date is for people only.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
