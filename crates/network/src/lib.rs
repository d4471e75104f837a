//! Networks: declarative specs, the plan they are evaluated by, and the integer linear maps of its stages.
//!
//! A [`NetworkSpec`] is what a user writes. [`Plan::new`] checks it and cuts it into stages: one linear layer
//! each, evaluated by the server on ciphertexts, followed by the client's non-linearities. [`Geometry`] turns a
//! stage into the places a [`sphinx_linalg::LinearMap`] gathers from, once; [`Geometry::lower`] and
//! [`InferenceStage`] fill in quantised weights.

mod activation;
mod client;
mod inference;
mod init;
mod lower;
mod plan;
mod spec;

pub use activation::{Activation, MAX_LEVELS, quantised};
pub use client::client_forward;
pub use inference::{
    DEFAULT_ACTIVATION_BITS, InferenceStage, MAX_MODULUS_BITS, MAX_WEIGHT_DIFFERENCE,
    QuantisationError, QuantisedNetwork, apply_clear, integer_map, integer_weight_count,
    quantised_bias, weight_difference, weight_norm_squared_limit,
};
pub use init::initial_parameters;
pub use lower::{Direction, Geometry, LowerError, Lowered, TrainingBudget};
pub use plan::{
    ClientOp, ClientStep, Linear, MAX_ANGLES, MAX_LAYERS, MAX_MULTIPLY_ADDS, MAX_ROWS, MAX_SCALES,
    MAX_WEIGHTS, Plan, SCATTER_BOUND, SpecError, Stage, StageParameters, Stem, StemOp, StemStep,
};
pub use spec::{Filters, LayerKind, LayerSpec, NetworkSpec, Shape};
