//! Random initial weights.

mod gabor;
#[cfg(test)]
mod tests;

use rand::{Rng, RngExt};

use crate::activation::Activation;
use crate::plan::{Linear, Plan, Stage, StageParameters};
use crate::spec::Filters;
use crate::steps::StepOp;

/// Initial parameters of every stage: weights uniform in `±gain·√(3 / fan_in)` (LeCun et al. 1998),
/// with the gain that keeps the variance of activations from layer to layer: √2 before a ReLU (He
/// et al. 2015), 5/3 before tanh, 1 otherwise; biases zero. The fan-out (Glorot & Bengio 2010) is
/// left out: it would make the first convolution of `sphinx-mnist` five times smaller, which trains
/// more slowly. Gabor filters have the same mean square as random weights.
pub fn initial_parameters(plan: &Plan, rng: &mut impl Rng) -> Vec<StageParameters> {
    plan.stages.iter().map(|stage| stage_parameters(stage, rng)).collect()
}

fn stage_parameters(stage: &Stage, rng: &mut impl Rng) -> StageParameters {
    let limit = weight_limit(stage);
    let weights = match (stage.filters, stage.linear) {
        (Filters::Gabor, Linear::Conv { in_channels, out_channels, kernel, .. }) => {
            gabor::filters(in_channels, out_channels, kernel, limit)
        }
        _ => {
            let weight = |_| limit * (2.0 * rng.random::<f32>() - 1.0);
            (0..stage.linear.weight_count()).map(weight).collect()
        }
    };
    StageParameters { weights, biases: vec![0.0; stage.linear.bias_count()] }
}

fn weight_limit(stage: &Stage) -> f32 {
    let fan_in = match stage.linear {
        Linear::Conv { in_channels, kernel, .. } => in_channels * kernel * kernel,
        Linear::Dense { inputs, .. } => inputs,
    };
    let activation = stage.steps.iter().find_map(|step| match step.op {
        StepOp::Activation(activation) => Some(activation),
        StepOp::AvgPool { .. } | StepOp::MaxPool { .. } => None,
    });
    activation.map_or(1.0, Activation::gain) * (3.0 / fan_in as f32).sqrt()
}
