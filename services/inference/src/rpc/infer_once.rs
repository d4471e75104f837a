//! `InferOnce`: an encrypted image in, encrypted logits out.

use bytes::Bytes;
use sphinx_evaluation_keys::Query;
use sphinx_proto::v1::{InferOnceRequest, InferOnceResponse};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::InferenceError;
use crate::one_shot::OneShot;

/// An encrypted image, and what it is to be recognised with.
struct Recognition {
    tenant: TenantId,
    model_id: ModelId,
    key_id: KeyId,
    version: Option<u64>,
    incarnation: Bytes,
    fingerprint: String,
    seed: Bytes,
    bodies: Bytes,
}

pub(crate) async fn handle(
    service: &OneShot,
    request: Request<InferOnceRequest>,
) -> Result<Response<InferOnceResponse>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let asked = Recognition::parse(tenant, request)?;
    Ok(Response::new(answer(service, asked).await?))
}

async fn answer(
    service: &OneShot,
    asked: Recognition,
) -> Result<InferOnceResponse, InferenceError> {
    let Recognition { tenant, model_id, key_id, version, incarnation, .. } = &asked;
    let models = &service.models;
    let model = models.find(tenant, model_id, *version, incarnation, key_id).await?;
    let key = service.keys.registered(tenant, key_id, &asked.fingerprint).await?;
    let prepared = models.prepared(&model).await?;
    let layout = prepared.network().layout();
    let query = Query::from_parts(&asked.seed, asked.bodies.to_vec(), layout)
        .map_err(InferenceError::Query)?;
    let fingerprint = key.fingerprint.clone();
    let keys = service.keys.prepared(asked.tenant.clone(), asked.key_id, key);
    // Boxed: a future of this size would be moved with every future that waits for it.
    let answer = Box::pin(service.evaluate(&asked.tenant, prepared, keys, query)).await?;
    Ok(InferOnceResponse {
        version: model.version,
        mask: answer.mask.into(),
        bodies: answer.bodies.into(),
        logit_scale: answer.scale,
        fingerprint,
    })
}

impl Recognition {
    fn parse(tenant: TenantId, request: InferOnceRequest) -> Result<Self, ConversionError> {
        let InferOnceRequest { version, incarnation, fingerprint, seed, bodies, .. } = request;
        let (model_id, key_id) = (ModelId::parse(request.model_id)?, KeyId::parse(request.key_id)?);
        Ok(Self { tenant, model_id, key_id, version, incarnation, fingerprint, seed, bodies })
    }
}
