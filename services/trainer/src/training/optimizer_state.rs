//! The optimiser's state as it is stored with a version.

use bytes::Bytes;
use prost::Message;
use sphinx_optimizer::{Optimizer, OptimizerError, OptimizerSpec, OptimizerState};

/// One record per stage.
#[derive(Clone, PartialEq, Message)]
struct StoredOptimizer {
    /// The rule's kind and hyper-parameters: moments of another rule are not taken over.
    #[prost(string, tag = "1")]
    rule: String,
    #[prost(message, repeated, tag = "2")]
    stages: Vec<StoredMoments>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMoments {
    #[prost(uint64, tag = "1")]
    steps: u64,
    #[prost(float, repeated, tag = "2")]
    first: Vec<f32>,
    #[prost(float, repeated, tag = "3")]
    second: Vec<f32>,
}

/// Stores the state of all stages.
pub(crate) fn encode(optimizers: &[Optimizer]) -> Bytes {
    let rule = optimizers.first().map(|optimizer| rule(optimizer.spec())).unwrap_or_default();
    let stages = optimizers.iter().map(|optimizer| {
        let OptimizerState { steps, first, second } = optimizer.state().clone();
        StoredMoments { steps, first, second }
    });
    StoredOptimizer { rule, stages: stages.collect() }.encode_to_vec().into()
}

/// Takes a stored state over if it is of the same rule, and starts anew otherwise.
pub(crate) fn restore(
    stored: Bytes,
    spec: OptimizerSpec,
    weights: &[Vec<f32>],
) -> Result<Vec<Optimizer>, OptimizerError> {
    let stored = StoredOptimizer::decode(stored).unwrap_or_default();
    if stored.rule != rule(&spec) || stored.stages.len() != weights.len() {
        return weights.iter().map(|weights| Optimizer::new(spec, weights.len())).collect();
    }
    let stages = stored.stages.into_iter().zip(weights);
    stages
        .map(|(StoredMoments { steps, first, second }, weights)| {
            Optimizer::restore(spec, weights.len(), OptimizerState { steps, first, second })
        })
        .collect()
}

fn rule(spec: &OptimizerSpec) -> String {
    format!("{spec:?}")
}
