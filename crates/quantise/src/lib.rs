//! From the weights of a network to the integers that are computed with on ciphertexts.
//!
//! [`Geometry`] turns a stage of a [`sphinx_network::Plan`] into the places a
//! [`sphinx_linalg::LinearMap`] gathers from, once. [`Geometry::lower`] fills in the integer
//! weights of a training step, [`InferenceStage`] those of recognition, and [`QuantisedNetwork`]
//! evaluates the latter in the clear: the result that encrypted recognition must agree with.

mod inference;
mod lower;

pub use inference::{
    DEFAULT_ACTIVATION_BITS, InferenceStage, MAX_MODULUS_BITS, MAX_WEIGHT_DIFFERENCE,
    QuantisationError, QuantisedNetwork, apply_clear, integer_map, integer_weight_count,
    quantised_bias, weight_difference, weight_norm_squared_limit,
};
pub use lower::{Geometry, LowerError, Lowered, TrainingBudget};
