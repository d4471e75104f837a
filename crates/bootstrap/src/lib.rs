//! Recognition in one shot: a query in, encrypted logits out, the activations evaluated by programmable bootstrapping.
//! This crate cannot hold a secret key.
//!
//! The image lies in the coefficients of one GLWE ciphertext. A layer of the network is then
//!
//! 1. linear: the first by products with polynomials of small integers, one sample (LWE, dimension 2048) extracted per
//!    neuron; later ones by linear combinations of the samples of the layer before. The encrypted bias is added;
//! 2. an activation: every sample is switched to a key of a smaller dimension, its words are rounded to 2N steps, and a
//!    blind rotation looks its value up in a table. What comes out has fresh noise.
//!
//! The samples of the logits are packed into one GLWE ciphertext. [`parameters`] has the noise at every step.
//! [`EvaluationKeys`] are what a client uploads, [`PreparedKeys`] what an evaluation reads, [`OneShotModel`] a network with
//! its encrypted biases, and [`Simulation`] the same network in the clear with the noise that the parameters predict.

pub mod parameters;

mod control;
mod kernel;
mod keys;
mod layers;
mod linear;
mod model;
mod network;
mod query;
mod sample;
mod simulate;

pub use control::{Control, LayerDone, Step};
pub use keys::{EvaluationKeys, KeyError, MAX_KEY_BYTES, PackingKey, PreparedKeys};
pub use layers::{SwitchedSamples, look_up, pack_samples, switch_keys};
pub use model::{EvaluationError, OneShotModel};
pub use network::{
    DEFAULT_HALF_RANGE, MAX_CLASSES, MAX_HALF_RANGE, MAX_NEURONS, MAX_TERMS, NetworkError,
    OneShotNetwork,
};
pub use parameters::{Gadget, OneShotProfile, Parameters};
pub use query::{
    ANSWER_BODY_WIDTH, ANSWER_MASK_WIDTH, Answer, QUERY_WIDTH, Query, QueryError, QueryLayout,
    logit_coefficient,
};
pub use sample::Samples;
pub use simulate::{Simulation, SimulationNoise};
