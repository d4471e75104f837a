//! The server's linear layers without encryption.
//!
//! The twin of the encrypted path in tests, and the baseline it is measured against.

mod kernel;
mod taps;

use sphinx_network::{Linear, Stage, StageParameters};

use self::taps::TapMap;
use crate::pooling::Pooling;
use crate::tensor::{Tensor, TensorError};

/// The linear layer of a stage with its folded pool, and its transpose, on tensors in the clear.
///
/// Where a layer finds its inputs is computed once; the parameters are given with each call.
pub struct ClearStage {
    stage: Stage,
    forward: TapMap,
    backward: TapMap,
}

/// Why a [`ClearStage`] refused its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearError {
    /// The parameters do not fit the layer.
    #[error("got {got} weights, expected {expected}")]
    WeightCount {
        /// Number of weights.
        got: usize,
        /// What the layer has.
        expected: usize,
    },
    /// The parameters do not fit the layer.
    #[error("got {got} biases, expected {expected}")]
    BiasCount {
        /// Number of biases.
        got: usize,
        /// What the layer has.
        expected: usize,
    },
    /// The tensor does not fit the layer.
    #[error(transparent)]
    Shape(#[from] TensorError),
}

impl ClearStage {
    /// The layer of `stage`.
    pub fn new(stage: &Stage) -> Self {
        Self {
            stage: stage.clone(),
            forward: TapMap::forward(stage),
            backward: TapMap::backward(stage),
        }
    }

    /// `z = P (W a + b)` with P the folded average pool: from `stage.input` rows to `stage.output`
    /// rows.
    ///
    /// # Errors
    /// A [`ClearError`] that names the sizes.
    pub fn forward(
        &self,
        parameters: &StageParameters,
        input: &Tensor,
    ) -> Result<Tensor, ClearError> {
        self.check_parameters(parameters)?;
        input.expect_shape(self.stage.input.len(), input.slots())?;
        let weights = forward_weights(self.stage.linear, &parameters.weights);
        let output = kernel::apply(&self.forward, &weights, &parameters.biases, input);
        Ok(match self.pooling() {
            Some(pooling) => pooling.average(&output),
            None => output,
        })
    }

    /// `e = Wᵀ Pᵀ δ`: from `stage.output` rows to `stage.input` rows.
    ///
    /// # Errors
    /// A [`ClearError`] that names the sizes.
    pub fn backward(
        &self,
        parameters: &StageParameters,
        delta: &Tensor,
    ) -> Result<Tensor, ClearError> {
        self.check_parameters(parameters)?;
        delta.expect_shape(self.stage.output.len(), delta.slots())?;
        let weights = backward_weights(self.stage.linear, &parameters.weights);
        let biases = vec![0.0; self.backward.channels()];
        let Some(pooling) = self.pooling() else {
            return Ok(kernel::apply(&self.backward, &weights, &biases, delta));
        };
        let mut spread = delta.zeros_beside(self.stage.linear_output.len());
        pooling.average_backward(delta, None, &mut spread);
        Ok(kernel::apply(&self.backward, &weights, &biases, &spread))
    }

    fn pooling(&self) -> Option<Pooling> {
        let (input, output) = (self.stage.linear_output, self.stage.output);
        self.stage.pool.map(|size| Pooling { size, stride: size, input, output })
    }

    fn check_parameters(&self, parameters: &StageParameters) -> Result<(), ClearError> {
        let linear = &self.stage.linear;
        let (got, expected) = (parameters.weights.len(), linear.weight_count());
        if got != expected {
            return Err(ClearError::WeightCount { got, expected });
        }
        let (got, expected) = (parameters.biases.len(), linear.bias_count());
        if got != expected {
            return Err(ClearError::BiasCount { got, expected });
        }
        Ok(())
    }
}

/// Weights as `[tap][out_channel]`, with the taps `[in_channel][ky][kx]`.
fn forward_weights(linear: Linear, weights: &[f32]) -> Vec<f32> {
    let outputs = linear.bias_count();
    let taps = weights.len() / outputs;
    (0..weights.len()).map(|i| weights[i % outputs * taps + i / outputs]).collect()
}

/// Weights as `[tap][in_channel]`, with the taps `[out_channel][ky][kx]`.
fn backward_weights(linear: Linear, weights: &[f32]) -> Vec<f32> {
    let (in_channels, area) = match linear {
        Linear::Conv { in_channels, kernel, .. } => (in_channels, kernel * kernel),
        Linear::Dense { inputs, .. } => (inputs, 1),
    };
    (0..weights.len())
        .map(|i| {
            let (tap, in_channel) = (i / in_channels, i % in_channels);
            weights[(tap / area * in_channels + in_channel) * area + tap % area]
        })
        .collect()
}
