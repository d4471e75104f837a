//! Models as a trainer stores them.

use bytes::Bytes;
use prost::Message;
use sphinx_models::{ModelMeta, ModelVersion, VersionHashes};
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::Network;
use sphinx_proto::{KeyId, ModelId, TenantId};
use sphinx_wire::state::{
    Binding, Link, WeightState, first_chain, gradient_sha256, network_sha256, sealed_sha256,
};

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

/// A version of these weights that no commit made: the first, or the one after `before`. `seal`
/// makes the client's half of the state for what it is bound to; the first version has none.
pub fn model_version(
    meta: &ModelMeta,
    before: Option<&ModelVersion>,
    weights: Vec<Vec<f32>>,
    seal: impl FnOnce(&Binding) -> Bytes,
) -> ModelVersion {
    let state = WeightState { weights, rule: None };
    let network = network_sha256(&meta.stored_network().unwrap().spec);
    let (weights, optimizer) = (state.weights_sha256(), state.optimizer_sha256());
    let incarnation = meta.incarnation;
    let (version, sealed, hashes) = match before {
        None => {
            let chain = first_chain(&meta.model_id, &incarnation, &network, &weights);
            let hashes = VersionHashes { chain, weights, optimizer, ..VersionHashes::default() };
            (0, Bytes::new(), hashes)
        }
        Some(before) => {
            let (version, previous) = (before.version + 1, before.hashes.chain);
            let binding = Binding { incarnation, version, previous, network, weights, optimizer };
            let sealed = seal(&binding);
            let gradient = gradient_sha256(&[]);
            let link = Link { previous, gradient, weights, sealed: sealed_sha256(&sealed) };
            let chain = link.chain();
            (version, sealed, VersionHashes { chain, previous, gradient, weights, optimizer })
        }
    };
    ModelVersion {
        version,
        commit: None,
        updated_unix_seconds: 0,
        weights: state.weights,
        averaged: None,
        optimizer: Bytes::new(),
        optimizer_steps: 0,
        averaged_steps: 0,
        sealed,
        hashes,
    }
}
