//! What the server's update rule remembers between commits, and its form as it is stored with a version.

use bytes::Bytes;
use prost::Message;
use sphinx_optimizer::{Optimizer, OptimizerError, OptimizerState, WeightAverage};
use sphinx_proto::TrainingRule;

/// The state of an update rule, by stage.
#[derive(Clone)]
pub(crate) struct RuleState {
    pub optimizers: Vec<Optimizer>,
    /// Averages of the weights, if the rule asks for them.
    pub averages: Option<Vec<WeightAverage>>,
}

/// One record per stage.
#[derive(Clone, PartialEq, Message)]
struct StoredRule {
    /// The rule's kind and hyper-parameters: moments of another rule are not taken over.
    #[prost(string, tag = "1")]
    rule: String,
    #[prost(message, repeated, tag = "2")]
    stages: Vec<StoredMoments>,
    /// Updates that the averages have taken in. The averages themselves are stored beside the weights.
    #[prost(uint64, tag = "3")]
    averaged_updates: u64,
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

impl RuleState {
    /// That of a rule which has made no step yet.
    pub fn new(rule: &TrainingRule, weights: &[Vec<f32>]) -> Result<Self, OptimizerError> {
        let optimizer = |weights: &Vec<f32>| Optimizer::new(rule.optimizer, weights.len());
        let optimizers = weights.iter().map(optimizer).collect::<Result<_, _>>()?;
        let start = |decay| weights.iter().map(|w| WeightAverage::new(decay, w)).collect();
        Ok(Self { optimizers, averages: rule.averaging.map(start).transpose()? })
    }

    /// Takes a stored state over if it is of the same rule, and starts anew otherwise.
    pub fn restore(
        stored: Bytes,
        averaged: Option<Vec<Vec<f32>>>,
        rule: &TrainingRule,
        weights: &[Vec<f32>],
    ) -> Result<Self, OptimizerError> {
        let stored = StoredRule::decode(stored).unwrap_or_default();
        if stored.rule != name(rule) || stored.stages.len() != weights.len() {
            return Self::new(rule, weights);
        }
        let moments = stored.stages.into_iter().zip(weights);
        let optimizers = moments.map(|(StoredMoments { steps, first, second }, weights)| {
            let state = OptimizerState { steps, first, second };
            Optimizer::restore(rule.optimizer, weights.len(), state)
        });
        let optimizers = optimizers.collect::<Result<_, _>>()?;
        let averages = match (rule.averaging, averaged) {
            (Some(decay), Some(averaged)) if averaged.len() == weights.len() => {
                let updates = stored.averaged_updates;
                let restored = averaged.into_iter().zip(weights).map(|(average, weights)| {
                    WeightAverage::restore(decay, updates, average, weights.len())
                });
                Some(restored.collect::<Result<_, _>>()?)
            }
            _ => Self::new(rule, weights)?.averages,
        };
        Ok(Self { optimizers, averages })
    }

    /// Moments and counts as they are stored.
    pub fn encode(&self, rule: &TrainingRule) -> Bytes {
        let stages = self.optimizers.iter().map(|optimizer| {
            let OptimizerState { steps, first, second } = optimizer.state().clone();
            StoredMoments { steps, first, second }
        });
        let averaged_updates = self.averages.iter().flatten().map(|a| a.updates).next();
        StoredRule {
            rule: name(rule),
            stages: stages.collect(),
            averaged_updates: averaged_updates.unwrap_or_default(),
        }
        .encode_to_vec()
        .into()
    }

    /// The averages by stage, as they are stored.
    pub fn averaged(&self) -> Option<Vec<Vec<f32>>> {
        let averages = self.averages.as_ref()?;
        Some(averages.iter().map(|average| average.average.clone()).collect())
    }
}

fn name(rule: &TrainingRule) -> String {
    format!("{:?}, averaging {:?}", rule.optimizer, rule.averaging)
}
