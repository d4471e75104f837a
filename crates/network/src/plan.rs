//! A checked network, cut into stages that client and server take in turn.

mod at;
mod build;
mod stem;
#[cfg(test)]
mod tests;

pub use at::MAX_ROWS;
pub use build::{MAX_LAYERS, MAX_MULTIPLY_ADDS, MAX_WEIGHTS};
pub use stem::{MAX_ANGLES, MAX_SCALES, SCATTER_BOUND, Stem, StemOp, StemStep};

use std::fmt;

use crate::spec::{Filters, Shape};
use crate::steps::Step;

/// How a network is evaluated: stem and client's steps on the image, then the stages in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Shape of an image.
    pub input: Shape,
    /// What the client computes from an image once and for all: public features.
    pub stem: Stem,
    /// What the client does to the stem's output before it encrypts it.
    pub input_steps: Vec<Step>,
    /// One stage per linear layer; the last one yields the logits.
    pub stages: Vec<Stage>,
    /// Number of logits.
    pub classes: usize,
}

/// One linear layer, evaluated by the server, and the client's steps up to the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The linear layer.
    pub linear: Linear,
    /// What the kernels of a convolution start from.
    pub filters: Filters,
    /// Side of the average-pooling window (its stride, too) that is folded into the server's map.
    pub pool: Option<usize>,
    /// What the client encrypts.
    pub input: Shape,
    /// After the linear layer, before the folded pool.
    pub linear_output: Shape,
    /// What the server returns.
    pub output: Shape,
    /// Largest absolute value of an input scalar; 1 for images, the stem's bound for its output.
    pub input_bound: f32,
    /// The client's steps after this stage; none after the last.
    pub steps: Vec<Step>,
}

/// Which way a stage's linear map is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `z = W a`: from the stage's input to its output.
    Forward,
    /// `e = Wᵀ δ`, the adjoint: from gradients at the output to gradients at the input.
    Backward,
}

/// A linear layer with its sizes. Its map is shared by all samples, its biases are one per output
/// channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linear {
    /// Convolution; weights are ordered `[out_channel][in_channel][ky][kx]`.
    Conv {
        /// Channels of the input map.
        in_channels: usize,
        /// Channels of the output map.
        out_channels: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Distance between two positions of the kernel.
        stride: usize,
        /// Lines and columns of zeros on each side of the map.
        padding: usize,
    },
    /// Fully connected layer; weights are ordered `[output][input]`.
    Dense {
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
}

/// The parameters of one stage, in real units. `Debug` shows sizes only: biases are secret.
#[derive(Clone, PartialEq)]
pub struct StageParameters {
    /// In the order of [`Linear`]; length [`Linear::weight_count`].
    pub weights: Vec<f32>,
    /// One per output channel or output; length [`Linear::bias_count`].
    pub biases: Vec<f32>,
}

impl fmt::Debug for StageParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (weights, biases) = (self.weights.len(), self.biases.len());
        write!(f, "StageParameters({weights} weights, {biases} biases)")
    }
}

impl Plan {
    /// Number of weights of all stages.
    pub fn weight_count(&self) -> usize {
        self.stages.iter().map(|stage| stage.linear.weight_count()).sum()
    }

    /// Number of biases of all stages.
    pub fn bias_count(&self) -> usize {
        self.stages.iter().map(|stage| stage.linear.bias_count()).sum()
    }
}

impl Linear {
    /// Number of weights.
    pub fn weight_count(&self) -> usize {
        match *self {
            Self::Conv { in_channels, out_channels, kernel, .. } => {
                in_channels.saturating_mul(out_channels).saturating_mul(kernel * kernel)
            }
            Self::Dense { inputs, outputs } => inputs.saturating_mul(outputs),
        }
    }

    /// Number of biases.
    pub fn bias_count(&self) -> usize {
        match *self {
            Self::Conv { out_channels, .. } => out_channels,
            Self::Dense { outputs, .. } => outputs,
        }
    }
}
