//! What binds a version of a model to its owner and to all versions before it.
//!
//! Client and trainer each keep the weights and the state of their update rule
//! ([`WeightState`]) and make the same steps on them: additions, multiplications, divisions and
//! square roots, which agree bit for bit on every machine. So hashes ([`hash`]) suffice to see that
//! they do.

mod hash;
mod weights;

pub use hash::{
    Binding, Hash, Link, first_chain, gradient_sha256, hash_from, network_sha256, sealed_sha256,
};
pub use weights::{NoAverage, WeightState};

#[cfg(test)]
mod tests;
