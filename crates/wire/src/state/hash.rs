//! The hashes of a version.

use prost::Message;
use sha2::{Digest, Sha256};
use sphinx_network::NetworkSpec;
use sphinx_proto::{ModelId, v1};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// What a version adds to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// h of the version before.
    pub previous: Hash,
    /// [`gradient_sha256`] of the step.
    pub gradient: Hash,
    /// [`super::WeightState::weights_sha256`] after it.
    pub weights: Hash,
    /// [`sealed_sha256`] of the client's half of the state after it.
    pub sealed: Hash,
}

impl Link {
    /// h(v + 1) = H(h(v), H(gradient), H(weights), H(sealed)).
    pub fn chain(&self) -> Hash {
        let hash = Sha256::new_with_prefix(b"sphinx chain 1");
        let hash = hash.chain_update(self.previous).chain_update(self.gradient);
        hash.chain_update(self.weights).chain_update(self.sealed).finalize().into()
    }
}

/// h(0): of the model's name and incarnation, its network and its initial weights.
pub fn first_chain(
    model: &ModelId,
    incarnation: &[u8; 16],
    network: &Hash,
    weights: &Hash,
) -> Hash {
    let hash = Sha256::new_with_prefix(b"sphinx chain 1 begins");
    let hash = hash.chain_update(Sha256::digest(model.as_str())).chain_update(incarnation);
    hash.chain_update(network).chain_update(weights).finalize().into()
}

/// What a sealed state is bound to: whoever opens it learns that its owner meant it for exactly
/// this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Which life of the model.
    pub incarnation: [u8; 16],
    /// The version.
    pub version: u64,
    /// h of the version before.
    pub previous: Hash,
    /// [`network_sha256`].
    pub network: Hash,
    /// [`super::WeightState::weights_sha256`].
    pub weights: Hash,
    /// [`super::WeightState::optimizer_sha256`].
    pub optimizer: Hash,
}

impl Binding {
    /// The associated data of the sealed state of `model`.
    pub fn associated_data(&self, model: &ModelId) -> Vec<u8> {
        let mut data = b"sphinx state 1".to_vec();
        data.extend(Sha256::digest(model.as_str()));
        data.extend(self.incarnation);
        data.extend(self.version.to_le_bytes());
        for hash in [self.previous, self.network, self.weights, self.optimizer] {
            data.extend(hash);
        }
        data
    }
}

/// Of a network in the form that travels.
pub fn network_sha256(network: &NetworkSpec) -> Hash {
    Sha256::digest(v1::Network::from(network).encode_to_vec()).into()
}

/// Of a gradient by stage; of none for the adoption of an average.
pub fn gradient_sha256(gradient: &[Vec<f32>]) -> Hash {
    let mut hash = Sha256::new_with_prefix(b"sphinx gradient 1");
    floats(&mut hash, gradient);
    hash.finalize().into()
}

/// Of a sealed state.
pub fn sealed_sha256(sealed: &[u8]) -> Hash {
    Sha256::digest(sealed).into()
}

/// A hash that came in a message; `None` for another length.
pub fn hash_from(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}

/// Adds vectors of floats, each with its length.
pub(super) fn floats<'a>(hash: &mut Sha256, vectors: impl IntoIterator<Item = &'a Vec<f32>>) {
    for vector in vectors {
        hash.update((vector.len() as u64).to_le_bytes());
        let mut bytes = Vec::with_capacity(4 * vector.len());
        vector.iter().for_each(|value| bytes.extend(value.to_bits().to_le_bytes()));
        hash.update(bytes);
    }
}
