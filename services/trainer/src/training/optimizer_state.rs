//! The form in which the state of the update rule is stored with a version.

use bytes::Bytes;
use prost::Message;
use sphinx_optimizer::{OptimizerError, OptimizerState, RuleState, TrainingRule};

/// One record per stage.
#[derive(Clone, PartialEq, Message)]
struct StoredRule {
    /// The rule's kind and hyper-parameters: moments of another rule are not taken over.
    #[prost(string, tag = "1")]
    rule: String,
    #[prost(message, repeated, tag = "2")]
    stages: Vec<StoredMoments>,
    /// Updates that the averages have taken in. The averages themselves are stored beside the
    /// weights.
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

/// Takes a stored state over if it is of the same rule, and starts anew otherwise.
pub(crate) fn restore(
    stored: Bytes,
    averaged: Option<Vec<Vec<f32>>>,
    rule: TrainingRule,
    weights: &[Vec<f32>],
) -> Result<RuleState, OptimizerError> {
    let stored = StoredRule::decode(stored).unwrap_or_default();
    if stored.rule != name(&rule) || stored.stages.len() != weights.len() {
        return RuleState::new(rule, weights);
    }
    let moments = stored.stages.into_iter();
    let moments = moments.map(|StoredMoments { steps, first, second }| OptimizerState {
        steps,
        first,
        second,
    });
    let averages = averaged.filter(|averaged| averaged.len() == weights.len());
    let averages = averages.map(|averaged| (stored.averaged_updates, averaged));
    RuleState::restore(rule, moments.collect(), averages, weights)
}

/// Moments and counts as they are stored.
pub(crate) fn encode(state: &RuleState) -> Bytes {
    let stages = state.moments().cloned();
    let stages = stages.map(|OptimizerState { steps, first, second }| StoredMoments {
        steps,
        first,
        second,
    });
    let averaged_updates = state.averages().into_iter().flatten().map(|a| a.updates).next();
    StoredRule {
        rule: name(state.rule()),
        stages: stages.collect(),
        averaged_updates: averaged_updates.unwrap_or_default(),
    }
    .encode_to_vec()
    .into()
}

/// The averages by stage, as they are stored.
pub(crate) fn averaged(state: &RuleState) -> Option<Vec<Vec<f32>>> {
    Some(state.averages()?.iter().map(|average| average.average.clone()).collect())
}

fn name(rule: &TrainingRule) -> String {
    format!("{:?}, averaging {:?}", rule.optimizer, rule.averaging)
}
