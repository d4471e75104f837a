//! Models as a trainer stores them.

use bytes::Bytes;
use prost::Message;
use rand::CryptoRng;
use sphinx_linalg::{BIAS_SCALE_LOG2, BIAS_WIDTH, EncryptedBiases, SLOTS};
use sphinx_models::{ModelMeta, ModelVersion};
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::Network;
use sphinx_proto::{KeyId, ModelId, TenantId};
use sphinx_secret::SecretKey;

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
pub fn model_version(version: u64, weights: Vec<Vec<f32>>, biases: Vec<Bytes>) -> ModelVersion {
    ModelVersion {
        version,
        commit: None,
        updated_unix_seconds: 0,
        weights,
        averaged: None,
        optimizer: Bytes::new(),
        biases,
    }
}

/// Biases, multiples of 2^-16, encrypted under a key as they are stored.
pub fn encrypted_biases(key: &SecretKey, biases: &[f32], rng: &mut impl CryptoRng) -> Bytes {
    let scale = f64::from(BIAS_SCALE_LOG2).exp2();
    let words = |&bias: &f32| [((f64::from(bias) * scale) as i64).cast_unsigned(); SLOTS];
    let messages: Vec<u64> = biases.iter().flat_map(words).collect();
    let rows = key.encrypt_rows(&messages, BIAS_WIDTH, rng);
    let mut encrypted = EncryptedBiases::zero(biases.len());
    encrypted.add_seeded(0, &rows.seeds, &rows.bodies).unwrap();
    encrypted.to_bytes().into()
}
