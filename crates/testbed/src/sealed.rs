//! Versions of a model as its owner leaves them: biases sealed, weights hashed, all of it chained.

use bytes::Bytes;
use prost::Message;
use sphinx_models::{ModelMeta, ModelVersion};
use sphinx_proto::v1::{OneShotBiases, PutBiasesRequest};
use sphinx_secret::{ModelName, ReadKey, RootKey, SecretKey};

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
    model_version(meta, None, weights, |_| Bytes::new())
}

/// The version after `before`, with biases that the owner of the key sealed.
pub fn next_version(
    meta: &ModelMeta,
    key: &ReadKey,
    before: &ModelVersion,
    weights: Vec<Vec<f32>>,
    biases: &[Vec<f32>],
) -> ModelVersion {
    let biases = biases.iter().map(|values| Floats { values: values.clone() }).collect();
    let contents = State { biases }.encode_to_vec();
    model_version(meta, Some(before), weights, |binding| {
        let associated = binding.associated_data(&meta.model_id);
        key.seal(&associated, &contents, &mut rand::rng()).into()
    })
}

/// Biases for recognition in one shot as the store keeps them.
pub fn one_shot_biases(key: &SecretKey, biases: &[Vec<f32>]) -> Bytes {
    let stages = biases.iter().map(|biases| {
        let samples = key.encrypt_biases(biases, &mut rand::rng());
        OneShotBiases { seeds: samples.seeds.into(), bodies: samples.bodies.into() }
    });
    let stages = stages.collect();
    PutBiasesRequest { stages, ..PutBiasesRequest::default() }.encode_to_vec().into()
}
