//! Quantisation for recognition, exact in `Z_2^t`, and its reference in the clear.

mod clear;
mod difference;
mod stage;
#[cfg(test)]
mod tests;

pub use clear::{QuantisedNetwork, apply_clear};
pub use difference::{
    MAX_WEIGHT_DIFFERENCE, integer_map, integer_weight_count, weight_difference,
    weight_norm_squared_limit,
};
pub use stage::{DEFAULT_ACTIVATION_BITS, InferenceStage, MAX_MODULUS_BITS, quantised_bias};

use crate::lower::LowerError;

/// Why a network could not be quantised or evaluated. Stages are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantisationError {
    /// The weights of a stage do not fit it.
    #[error(transparent)]
    Weights(#[from] LowerError),
    /// The precision of activations is out of range.
    #[error("activations have {got} bits, expected 1 to {limit}")]
    ActivationBits {
        /// Number of bits asked for.
        got: u32,
        /// Most bits possible.
        limit: u32,
    },
    /// A bound is no positive finite number.
    #[error("stage {stage} has {field} = {got}, expected a positive finite number")]
    Bound {
        /// Index of the stage.
        stage: usize,
        /// Which bound.
        field: &'static str,
        /// Its value.
        got: f32,
    },
    /// The sums of a stage need more than [`MAX_MODULUS_BITS`].
    #[error(
        "the sums of stage {stage} need a modulus of {got} bits, expected at most {limit}; use \
         fewer activation bits"
    )]
    ModulusTooSmall {
        /// Index of the stage.
        stage: usize,
        /// Bits needed.
        got: u32,
        /// Most bits possible.
        limit: u32,
    },
    /// There are not as many parameters as the plan has.
    #[error("got {got} {what}, expected {expected}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// Number given.
        got: usize,
        /// Number in the plan.
        expected: usize,
    },
    /// A bias is NaN or outside its bound. The value itself is secret.
    #[error("bias {index} of stage {stage} lies outside the declared bound of {bound}")]
    BiasOutOfBound {
        /// Index of the stage.
        stage: usize,
        /// Index of the bias.
        index: usize,
        /// The bound.
        bound: f32,
    },
}
