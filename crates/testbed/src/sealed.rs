//! Versions of a model as its owner leaves them: biases sealed, weights hashed, all of it chained.

use prost::Message;
use sphinx_models::{ModelMeta, ModelVersion, VersionHashes};
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::{Network, OneShotBiases, PutBiasesRequest};
use sphinx_secret::{ModelName, ReadKey, RootKey, SecretKey};
use sphinx_wire::state::{
    Binding, Hash, Link, WeightState, first_chain, gradient_sha256, network_sha256, sealed_sha256,
};

use crate::model_version;

/// What clients read of a sealed state.
#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(message, repeated, tag = "1")]
    biases: Vec<Floats>,
}

#[derive(Clone, PartialEq, Message)]
struct Floats {
    #[prost(float, repeated, tag = "1")]
    values: Vec<f32>,
}

/// The read key of a stored model.
pub fn read_key(root: &RootKey, meta: &ModelMeta) -> ReadKey {
    root.read_key(&ModelName {
        tenant: meta.tenant.to_string(),
        model: meta.model_id.to_string(),
        incarnation: meta.incarnation,
    })
}

/// Version 0 of a model, whose biases are zero.
pub fn first_version(meta: &ModelMeta, weights: Vec<Vec<f32>>) -> ModelVersion {
    let state = WeightState { weights, rule: None };
    let (weights, optimizer) = (state.weights_sha256(), state.optimizer_sha256());
    let chain = first_chain(&meta.model_id, &meta.incarnation, &network(meta), &weights);
    let hashes = VersionHashes { chain, weights, optimizer, ..VersionHashes::default() };
    ModelVersion { hashes, ..model_version(0, state.weights) }
}

/// The version after `before`, with biases that the owner of the key sealed.
pub fn next_version(
    meta: &ModelMeta,
    key: &ReadKey,
    before: &ModelVersion,
    weights: Vec<Vec<f32>>,
    biases: &[Vec<f32>],
) -> ModelVersion {
    let state = WeightState { weights, rule: None };
    let (weights, optimizer) = (state.weights_sha256(), state.optimizer_sha256());
    let (version, previous) = (before.version + 1, before.hashes.chain);
    let binding = Binding {
        incarnation: meta.incarnation,
        version,
        previous,
        network: network(meta),
        weights,
        optimizer,
    };
    let biases = biases.iter().map(|values| Floats { values: values.clone() }).collect();
    let associated = binding.associated_data(&meta.model_id);
    let sealed = key.seal(&associated, &State { biases }.encode_to_vec(), &mut rand::rng());
    let gradient = gradient_sha256(&[]);
    let chain = Link { previous, gradient, weights, sealed: sealed_sha256(&sealed) }.chain();
    let hashes = VersionHashes { chain, previous, gradient, weights, optimizer };
    ModelVersion { sealed: sealed.into(), hashes, ..model_version(version, state.weights) }
}

/// Biases for recognition in one shot as the store keeps them.
pub fn one_shot_biases(key: &SecretKey, biases: &[Vec<f32>]) -> bytes::Bytes {
    let stages = biases.iter().map(|biases| {
        let samples = key.encrypt_biases(biases, &mut rand::rng());
        OneShotBiases { seeds: samples.seeds.into(), bodies: samples.bodies.into() }
    });
    let stages = stages.collect();
    PutBiasesRequest { stages, ..PutBiasesRequest::default() }.encode_to_vec().into()
}

fn network(meta: &ModelMeta) -> Hash {
    let message = Network::decode(meta.network.clone()).unwrap();
    network_sha256(&NetworkSpec::try_from(message).unwrap())
}
