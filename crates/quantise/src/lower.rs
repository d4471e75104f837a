//! From a stage and its f32 weights to the integer linear map that runs on ciphertexts.
//!
//! Dense layers and convolutions take one road: a dense layer is a convolution of a 1 × 1 map with
//! a kernel of side 1. What never changes, the [`Geometry`], is built once per stage and direction;
//! lowering new weights is then a few passes over them.

mod geometry;
mod kernel;
#[cfg(test)]
mod tests;
mod training;

pub use geometry::Geometry;
pub(crate) use kernel::forward_taps;
pub use training::{Lowered, TrainingBudget};

use sphinx_linalg::MapError;

/// Why weights could not be turned into an integer map. Stages are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LowerError {
    /// There are too many or too few weights.
    #[error("stage {stage} got {got} weights, expected {expected}")]
    WeightCount {
        /// Index of the stage.
        stage: usize,
        /// Number given.
        got: usize,
        /// Number the linear layer has.
        expected: usize,
    },
    /// A weight is NaN or infinite.
    #[error("weight {index} of stage {stage} is not finite; training has diverged")]
    NonFiniteWeight {
        /// Index of the stage.
        stage: usize,
        /// Index of the first such weight, in the order of [`sphinx_network::Linear`].
        index: usize,
    },
    /// A number of the budget makes no sense.
    #[error("the budget of stage {stage} has {field} = {got}, expected {expected}")]
    Budget {
        /// Index of the stage.
        stage: usize,
        /// Which number.
        field: &'static str,
        /// Its value.
        got: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// The weights of a channel are too large for any permitted scale.
    #[error(
        "channel {channel} of stage {stage} has absolute weights that sum to {norm}, too large \
         for a range of {range}; lower the learning rate or the input scale"
    )]
    RangeExceeded {
        /// Index of the stage.
        stage: usize,
        /// Channel of the result.
        channel: usize,
        /// Largest sum of absolute weights over the taps of one result.
        norm: f64,
        /// Largest integer result allowed.
        range: f64,
    },
    /// The stage does not come from a [`sphinx_network::Plan`].
    #[error("stage {stage} has shapes that contradict each other: {source}")]
    Shape {
        /// Index of the stage.
        stage: usize,
        /// What does not fit.
        source: MapError,
    },
}
