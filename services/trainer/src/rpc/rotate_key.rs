//! `RotateKey`: a model under another key, its weights as they were.

use sphinx_models::{ModelVersion, VersionHashes};
use sphinx_proto::v1::{RotateKeyRequest, RotateKeyResponse};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{Object, Principal, unix_seconds};
use sphinx_wire::commit::{CommitError, MAX_SEALED};
use sphinx_wire::state::{Hash, Link, gradient_sha256, hash_from, sealed_sha256};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<RotateKeyRequest>,
) -> Result<Response<RotateKeyResponse>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let reply = rotate(&service.of(&tenant), &tenant, model_id, request).await?;
    Ok(Response::new(reply))
}

async fn rotate(
    service: &TrainerService,
    tenant: &TenantId,
    model_id: ModelId,
    request: RotateKeyRequest,
) -> Result<RotateKeyResponse, TrainerError> {
    let key_id = KeyId::parse(&*request.key_id)?;
    let chain = hash_from(&request.chain).ok_or(ConversionError::Length {
        field: "chain",
        got: request.chain.len(),
        expected: 32,
    })?;
    let (got, limit) = (request.sealed.len(), MAX_SEALED);
    if got > limit {
        return Err(CommitError::SealedLength { got, limit }.into());
    }
    service.keys.require(tenant, &key_id).await?;
    let stored = service.store.get(tenant, &model_id).await?;
    if stored.meta.incarnation != *request.incarnation {
        return Err(TrainerError::OtherIncarnation { model: model_id });
    }
    let base = service.store.load(&stored.meta, Some(request.base_version)).await?;
    // Hashes up to 3 MB.
    let next = service.compute.run(move || resealed(base, &request, chain)).await??;
    let committed = service.store.rotate(&stored.meta, next, &key_id).await?;
    tracing::info!(model = %model_id, key = %key_id, version = committed.version, "key rotated");
    let model = described(&service.store.get(tenant, &model_id).await?)?;
    Ok(RotateKeyResponse { model: Some(model), repeated: committed.repeated })
}

/// The version after `base`: the same but for what the client sealed.
fn resealed(
    base: ModelVersion,
    request: &RotateKeyRequest,
    chain: Hash,
) -> Result<ModelVersion, TrainerError> {
    let link = Link {
        previous: base.hashes.chain,
        gradient: gradient_sha256(&[]),
        weights: base.hashes.weights,
        sealed: sealed_sha256(&request.sealed),
    };
    if link.chain() != chain {
        return Err(TrainerError::Chain);
    }
    let (previous, gradient) = (link.previous, link.gradient);
    Ok(ModelVersion {
        version: base.version + 1,
        updated_unix_seconds: unix_seconds(),
        sealed: request.sealed.clone(),
        hashes: VersionHashes { chain, previous, gradient, ..base.hashes },
        ..base
    })
}
