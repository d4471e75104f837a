//! `FetchKey`: the material of evaluation keys, part by part.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use sphinx_proto::conversion::key_kind;
use sphinx_proto::v1::fetch_key_response::Part;
use sphinx_proto::v1::{FetchKeyRequest, FetchKeyResponse, KeyKind};
use sphinx_proto::{KeyId, TenantId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::VaultError;
use crate::evaluation::part_count;
use crate::layout::KeyRecord;
use crate::vault::Vault;

/// Which evaluation keys to send; those of any fingerprint if it is empty.
struct Fetch {
    key_id: KeyId,
    fingerprint: String,
}

pub(crate) async fn handle(
    vault: &Vault,
    request: Request<FetchKeyRequest>,
) -> Result<Response<BoxStream<'static, Result<FetchKeyResponse, Status>>>, Status> {
    let principal = Principal::of(&request)?;
    let Fetch { key_id, fingerprint } = Fetch::try_from(request.into_inner())?;
    let tenant = principal.acts_on(Object::Key(&key_id)).await?;
    let entry = vault.get(&tenant, KeyKind::Evaluation, &key_id).await?;
    vault.refuse_revoked(&tenant, &key_id).await?;
    let key = entry.record.clone();
    if !fingerprint.is_empty() && fingerprint != key.fingerprint {
        let (got, expected) = (key.fingerprint, fingerprint);
        return Err(VaultError::OtherFingerprint { key_id, got, expected }.into());
    }
    let count = part_count(key.material_bytes);
    let first = FetchKeyResponse { part: Some(Part::Key(entry.into())) };
    let (vault, key) = (vault.clone(), std::sync::Arc::new(key));
    // One part is in memory at a time: the next is read when the one before has been taken.
    let chunks = stream::iter(0..count).then(move |number| {
        let (vault, tenant, key_id, key) =
            (vault.clone(), tenant.clone(), key_id.clone(), key.clone());
        async move {
            let chunk = part(&vault, &tenant, key_id, &key, number).await?;
            Ok(FetchKeyResponse { part: Some(Part::Chunk(chunk)) })
        }
    });
    Ok(Response::new(stream::iter([Ok(first)]).chain(chunks).boxed()))
}

async fn part(
    vault: &Vault,
    tenant: &TenantId,
    key_id: KeyId,
    key: &KeyRecord,
    number: usize,
) -> Result<Bytes, VaultError> {
    let part = vault.parts.read(tenant, &key.material_sha256, number).await?;
    part.ok_or(VaultError::Removed { key_id })
}

impl TryFrom<FetchKeyRequest> for Fetch {
    type Error = VaultError;

    fn try_from(request: FetchKeyRequest) -> Result<Self, VaultError> {
        let key_id = KeyId::parse(request.key_id)?;
        match key_kind(request.kind)? {
            KeyKind::Evaluation => Ok(Self { key_id, fingerprint: request.fingerprint }),
            KeyKind::Identity | KeyKind::Unspecified => Err(VaultError::Kind { got: request.kind }),
        }
    }
}
