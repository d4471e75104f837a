//! `ExchangeKeys`: registers key material that comes as a stream.

use sphinx_proto::conversion::required;
use sphinx_proto::v1::exchange_keys_request::Part;
use sphinx_proto::v1::{ExchangeKeysRequest, ExchangeKeysResponse, Key, KeyHeader, KeyKind};
use sphinx_proto::{TenantId, next_message};
use sphinx_runtime::{Object, Principal, unix_seconds};
use tonic::{Request, Response, Status, Streaming};

use crate::config::VaultLimits;
use crate::error::VaultError;
use crate::evaluation::Receiver;
use crate::layout::Entry;
use crate::material::{Announcement, CheckedKey, Upload};
use crate::vault::Vault;

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<Streaming<ExchangeKeysRequest>>,
) -> Result<Response<ExchangeKeysResponse>, Status> {
    let principal = Principal::of(&request)?;
    let mut parts = request.into_inner();
    let header = header(next_message(&mut parts).await?)?;
    let announced = Announcement::parse(header, vault.limits())?;
    let tenant = principal.acts_on(Object::Key(&announced.key_id)).await?;
    let registered = if announced.kind == KeyKind::Evaluation {
        let sha256 = hex::encode(announced.sha256);
        vault.admit(&tenant, &announced, &sha256).await?;
        receive_parts(vault, &tenant, parts, &announced, &sha256).await?;
        vault.register_evaluation(&tenant, &announced, &sha256, unix_seconds()).await?
    } else {
        let key = receive(parts, announced, vault.limits()).await?;
        vault.register(&tenant, key, unix_seconds()).await?
    };
    let (record, already) = (registered.key, registered.already);
    let key = Key::from(Entry { record, revoked_unix_seconds: None });
    tracing::info!(key_id = key.key_id, fingerprint = key.fingerprint, already, "key registered");
    Ok(Response::new(ExchangeKeysResponse {
        key: Some(key),
        already_registered: already,
        limits: Some((*vault.limits()).into()),
    }))
}

/// Reads the rest of the stream into memory.
async fn receive(
    mut parts: Streaming<ExchangeKeysRequest>,
    announced: Announcement,
    limits: &VaultLimits,
) -> Result<CheckedKey, Status> {
    let mut upload = Upload::new(announced, limits);
    while let Some(message) = next_message(&mut parts).await? {
        match required("part", "a chunk", message.part)? {
            Part::Chunk(chunk) => upload.push(&chunk)?,
            Part::Header(_) => {
                return Err(VaultError::SecondHeader { received: upload.received() }.into());
            }
        }
    }
    Ok(upload.finish()?)
}

/// Reads the rest of the stream onto the disk, where it stays if the stream breaks.
async fn receive_parts(
    vault: &Vault,
    tenant: &TenantId,
    mut messages: Streaming<ExchangeKeysRequest>,
    announced: &Announcement,
    sha256: &str,
) -> Result<(), Status> {
    let limit = vault.limits().max_chunk_bytes;
    let mut receiver = Receiver::new(&vault.parts, tenant, announced, sha256, limit).await?;
    while let Some(message) = next_message(&mut messages).await? {
        match required("part", "a chunk", message.part)? {
            Part::Chunk(chunk) => receiver.push(&chunk).await?,
            Part::Header(_) => {
                return Err(VaultError::SecondHeader { received: receiver.received() }.into());
            }
        }
    }
    Ok(receiver.finish()?)
}

fn header(first: Option<ExchangeKeysRequest>) -> Result<KeyHeader, VaultError> {
    match first.and_then(|message| message.part) {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Chunk(_)) | None => Err(VaultError::NoHeader),
    }
}
