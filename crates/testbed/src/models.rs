//! Models as a trainer stores them.

use bytes::Bytes;
use prost::Message;
use sphinx_models::{ModelMeta, ModelVersion, VersionHashes};
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::Network;
use sphinx_proto::{KeyId, ModelId, TenantId};

/// The description of a model that was just made.
pub fn model_meta(
    tenant: &str,
    model_id: &str,
    key_id: &str,
    spec: &NetworkSpec,
    incarnation: [u8; 16],
) -> ModelMeta {
    ModelMeta {
        tenant: TenantId::parse(tenant).unwrap(),
        model_id: ModelId::parse(model_id).unwrap(),
        key_id: KeyId::parse(key_id).unwrap(),
        network: Network::from(spec).encode_to_vec().into(),
        seed: 0,
        created_unix_seconds: 0,
        incarnation,
    }
}

/// A version that no commit made.
pub fn model_version(version: u64, weights: Vec<Vec<f32>>) -> ModelVersion {
    ModelVersion {
        version,
        commit: None,
        updated_unix_seconds: 0,
        weights,
        averaged: None,
        optimizer: Bytes::new(),
        optimizer_steps: 0,
        averaged_steps: 0,
        sealed: Bytes::new(),
        hashes: VersionHashes::default(),
    }
}
