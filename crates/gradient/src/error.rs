//! Why a pass was refused.

use std::fmt;

use crate::tensor::TensorError;

/// Why [`crate::BlockPass`] refused a call. Names shapes, stages and counts, never a value of a
/// tensor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PassError {
    /// The images do not have the plan's shape.
    #[error("images: {0}")]
    Images(#[source] TensorError),
    /// A pixel is not a number in `[0, 1]`, or what the stem yields not within its bounds.
    #[error("input {row} of slot {slot} is outside [{low}, {high}]; scale the images")]
    Pixel {
        /// The scalar of the image.
        row: usize,
        /// The example.
        slot: usize,
        /// Smallest value allowed.
        low: f32,
        /// Largest value allowed.
        high: f32,
    },
    /// The number of labels is not that of the slots.
    #[error("got {got} labels, expected one per slot: {expected}")]
    LabelCount {
        /// Number of labels.
        got: usize,
        /// Number of slots.
        expected: usize,
    },
    /// A label names no class of the network.
    #[error("the label of slot {slot} is not below the number of classes, {classes}")]
    Label {
        /// The example.
        slot: usize,
        /// Number of logits.
        classes: usize,
    },
    /// A max pooling has a window too large for this crate.
    #[error("max pooling over {got}x{got}, expected at most {limit}x{limit}")]
    MaxPoolSize {
        /// Side of the window.
        got: usize,
        /// Largest side.
        limit: usize,
    },
    /// What the server returned for a stage does not have its shape.
    #[error("stage {stage}: {source}")]
    Shape {
        /// The stage.
        stage: usize,
        /// What differs.
        source: TensorError,
    },
    /// A call came out of order.
    #[error("got {got}, expected {expected}")]
    OutOfOrder {
        /// What was asked for.
        got: Turn,
        /// What the pass is ready for.
        expected: Turn,
    },
    /// Some logits are infinite or not a number; the model has diverged or the server is at fault.
    #[error("the logits are not finite; reopen the session at an earlier model version")]
    Logits,
    /// Some gradients are infinite or not a number; the model has diverged or the server is at
    /// fault.
    #[error(
        "the gradients of {slots} slots are not finite; \
         reopen the session at an earlier model version"
    )]
    Gradients {
        /// Number of slots, padding included.
        slots: usize,
    },
    /// The block cannot be divided in so many copies.
    #[error(
        "{slots} slots cannot hold examples in {copies} copies: expected slots / copies to be a positive multiple of {}",
        crate::SLOT_GROUP
    )]
    Copies {
        /// Copies of each example.
        copies: usize,
        /// Slots of the block.
        slots: usize,
    },
    /// The copies of an example do not have one label.
    #[error(
        "the copies of example {example} have different labels; put copy k of example e in slot k * E + e"
    )]
    CopyLabels {
        /// The first such example.
        example: usize,
    },
    /// The clipping norm is not a positive number.
    #[error("the clipping norm is {got}, expected a positive finite number")]
    ClippingNorm {
        /// The norm.
        got: f32,
    },
}

/// One call of the sequence that a [`crate::BlockPass`] goes through; stages are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The input of a stage is read.
    Input(usize),
    /// The pre-activations of a stage arrive.
    Forward(usize),
    /// The loss is read.
    Loss,
    /// The gradient at a stage's output is read, to be sent through its transpose.
    Delta(usize),
    /// The gradient at a stage's input arrives.
    Backward(usize),
    /// The clipped gradient is read.
    Gradient,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(stage) => write!(f, "the input of stage {stage}"),
            Self::Forward(stage) => write!(f, "the pre-activations of stage {stage}"),
            Self::Loss => f.write_str("the loss"),
            Self::Delta(stage) => write!(f, "the delta of stage {stage}"),
            Self::Backward(stage) => write!(f, "the input gradient of stage {stage}"),
            Self::Gradient => f.write_str("the clipped gradient"),
        }
    }
}
