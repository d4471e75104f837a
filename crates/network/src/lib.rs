//! Networks: declarative specs and the plan they are evaluated by.
//!
//! A [`NetworkSpec`] is what a user writes. [`Plan::new`] checks it and cuts it into stages: one
//! linear layer each, evaluated by the server on ciphertexts, followed by the client's
//! non-linearities. The crate describes and knows no encryption; `sphinx-quantise` turns a plan's
//! stages into maps of integers.

mod activation;
mod error;
mod folded;
mod init;
mod plan;
mod spec;
mod steps;

pub use activation::{Activation, FunctionVisitor, MAX_LEVELS, sigmoid, tanh};
pub use error::SpecError;
pub use folded::FoldedStage;
pub use init::initial_parameters;
pub use plan::{
    Direction, Linear, MAX_ANGLES, MAX_LAYERS, MAX_MULTIPLY_ADDS, MAX_ROWS, MAX_SCALES,
    MAX_WEIGHTS, Plan, SCATTER_BOUND, Stage, StageParameters, Stem, StemOp, StemStep,
};
pub use spec::{Filters, LayerKind, LayerSpec, NetworkSpec, Shape};
pub use steps::{Step, StepOp, apply_steps};
