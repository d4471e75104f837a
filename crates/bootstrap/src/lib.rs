//! Recognition in one shot: a query in, encrypted logits out, the activations evaluated by
//! programmable bootstrapping. This crate cannot hold a secret key.
//!
//! The image lies in the coefficients of one GLWE ciphertext. A layer of the network is then
//!
//! 1. linear: the first by products with polynomials of small integers, one sample (LWE,
//!    dimension 2048) extracted per neuron; later ones by linear combinations of the samples of the
//!    layer before. The encrypted bias is added;
//! 2. an activation: every sample is switched to a key of a smaller dimension, its words are
//!    rounded to 2N steps, and a blind rotation looks its value up in a table. What comes out has
//!    fresh noise.
//!
//! The samples of the logits are packed into one GLWE ciphertext. [`NoiseBudget`] has the noise at
//! every step. [`sphinx_evaluation_keys`] has what a client uploads; [`PreparedKeys`] are its keys
//! as an evaluation reads them, [`OneShotModel`] is a network with its encrypted biases, and
//! [`Simulation`] the same network in the clear with the noise that the parameters predict.

mod control;
mod error;
mod kernel;
mod linear;
mod model;
mod network;
mod noise;
mod nonlinear;
mod prepared;
mod sample;
mod simulate;
mod table;
mod unpacked;

pub use control::{Control, LayerDone, Step};
pub use error::EvaluationError;
pub use model::OneShotModel;
pub use network::{
    DEFAULT_HALF_RANGE, MAX_CLASSES, MAX_HALF_RANGE, MAX_NEURONS, MAX_TERMS, OneShotNetwork,
    OneShotNetworkError,
};
pub use noise::{NetworkNoise, NoiseBudget, standard_normal_tail};
pub use nonlinear::{SwitchedSamples, look_up, pack_samples, switch_keys};
pub use prepared::PreparedKeys;
pub use sample::Samples;
pub use simulate::{Simulation, SimulationNoise};
pub use table::ParameterTable;
pub use unpacked::LinearLayer;
