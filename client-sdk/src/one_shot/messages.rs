//! What travels: one request out, one answer back.

use bytes::Bytes;
use prost::Message;
use sphinx_proto::v1;
use sphinx_proto::{KeyId, ModelId};

/// An encrypted image on its way to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneShotRequest {
    /// The model.
    pub model_id: ModelId,
    /// The key whose evaluation keys are meant.
    pub key_id: KeyId,
    /// The version to ask.
    pub version: u64,
    /// Which life of the model is meant, if several had its name one after the other.
    pub incarnation: Bytes,
    /// Fingerprint of the evaluation keys that are expected; empty takes those that are registered.
    pub fingerprint: String,
    /// Seeds of the ciphertexts' masks, 16 bytes each.
    pub seed: Bytes,
    /// The ciphertexts' bodies, 4 bytes per scalar that enters the first linear layer.
    pub bodies: Bytes,
}

/// Encrypted logits on their way back.
#[derive(Debug, Clone, PartialEq)]
pub struct OneShotAnswer {
    /// The version that was asked.
    pub version: u64,
    /// The ciphertext's mask, 2048 words of 3 bytes.
    pub mask: Bytes,
    /// One body word of 4 bytes per logit.
    pub bodies: Bytes,
    /// Integers modulo 2^64 per unit of a logit.
    pub logit_scale: f64,
    /// Fingerprint of the evaluation keys that were used.
    pub fingerprint: String,
}

impl OneShotRequest {
    /// Bytes of the message that it travels in.
    pub fn message_bytes(&self) -> usize {
        v1::InferOnceRequest::from(self.clone()).encoded_len()
    }
}

impl OneShotAnswer {
    /// Bytes of the message that it travels in.
    pub fn message_bytes(&self) -> usize {
        let Self { version, mask, bodies, logit_scale, fingerprint } = self.clone();
        v1::InferOnceResponse { version, mask, bodies, logit_scale, fingerprint }.encoded_len()
    }
}

impl From<OneShotRequest> for v1::InferOnceRequest {
    fn from(request: OneShotRequest) -> Self {
        let OneShotRequest { model_id, key_id, version, incarnation, fingerprint, seed, bodies } =
            request;
        let (model_id, key_id, version) = (model_id.to_string(), key_id.to_string(), Some(version));
        Self { model_id, key_id, version, incarnation, fingerprint, seed, bodies }
    }
}

impl From<v1::InferOnceResponse> for OneShotAnswer {
    fn from(answer: v1::InferOnceResponse) -> Self {
        let v1::InferOnceResponse { version, mask, bodies, logit_scale, fingerprint } = answer;
        Self { version, mask, bodies, logit_scale, fingerprint }
    }
}
