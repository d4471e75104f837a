//! Random initial weights.

#[cfg(test)]
mod tests;

use rand::{Rng, RngExt};

use crate::activation::Activation;
use crate::plan::{ClientOp, Linear, Plan, Stage, StageParameters};

/// Initial parameters of every stage: weights uniform in `±√(6 / (fan_in + fan_out))` (Glorot and Bengio 2010)
/// before tanh, sigmoid or softmax, and in `±√(6 / fan_in)` (He et al. 2015) before a ReLU; biases zero.
pub fn initial_parameters(plan: &Plan, rng: &mut impl Rng) -> Vec<StageParameters> {
    plan.stages.iter().map(|stage| stage_parameters(stage, rng)).collect()
}

fn stage_parameters(stage: &Stage, rng: &mut impl Rng) -> StageParameters {
    let limit = weight_limit(stage);
    let weights = (0..stage.linear.weight_count())
        .map(|_| limit * (2.0 * rng.random::<f32>() - 1.0))
        .collect();
    StageParameters { weights, biases: vec![0.0; stage.linear.bias_count()] }
}

fn weight_limit(stage: &Stage) -> f32 {
    let (fan_in, fan_out) = match stage.linear {
        Linear::Conv { in_channels, out_channels, kernel, .. } => {
            (in_channels * kernel * kernel, out_channels * kernel * kernel)
        }
        Linear::Dense { inputs, outputs } => (inputs, outputs),
    };
    let activation = stage.steps.iter().find_map(|step| match step.op {
        ClientOp::Activation(activation) => Some(activation),
        ClientOp::AvgPool { .. } | ClientOp::MaxPool { .. } => None,
    });
    let fans = match activation {
        Some(Activation::Relu { .. }) => fan_in,
        Some(Activation::Tanh | Activation::Sigmoid) | None => fan_in + fan_out,
    };
    (6.0 / fans as f32).sqrt()
}
