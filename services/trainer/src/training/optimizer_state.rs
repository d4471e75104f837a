//! The form in which the state of the update rule is stored with a version.

use bytes::Bytes;
use prost::Message;
use sphinx_models::ModelVersion;
use sphinx_optimizer::{OptimizerError, OptimizerState, RuleState, TrainingRule};
use sphinx_proto::v1;
use sphinx_wire::state::WeightState;

/// One record per stage.
#[derive(Clone, PartialEq, Message)]
struct StoredRule {
    /// The rule of the training that left the state.
    #[prost(message, optional, tag = "4")]
    rule: Option<v1::Optimizer>,
    #[prost(message, repeated, tag = "2")]
    stages: Vec<StoredMoments>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMoments {
    #[prost(float, repeated, tag = "2")]
    first: Vec<f32>,
    #[prost(float, repeated, tag = "3")]
    second: Vec<f32>,
}

/// What is wrong with a stored state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredRuleError {
    #[error("the state of its optimiser cannot be decoded: {0}")]
    Encoding(#[from] prost::DecodeError),
    #[error("the state of its optimiser: {0}")]
    Rule(#[from] sphinx_proto::ConversionError),
    #[error("the state of its optimiser: {0}")]
    State(#[from] OptimizerError),
}

/// The weights of a stored version with the state of the rule that made them.
pub(crate) fn restore(version: &ModelVersion) -> Result<WeightState, StoredRuleError> {
    let weights = version.weights.clone();
    let stored = StoredRule::decode(version.optimizer.clone())?;
    let Some(rule) = stored.rule else { return Ok(WeightState { weights, rule: None }) };
    let (rule, steps) = (TrainingRule::try_from(rule)?, version.optimizer_steps);
    let moments = stored.stages.into_iter();
    let moments =
        moments.map(|StoredMoments { first, second }| OptimizerState { steps, first, second });
    let averages = version.averaged.clone().map(|averaged| (version.averaged_steps, averaged));
    let rule = RuleState::restore(rule, moments.collect(), averages, &weights)?;
    Ok(WeightState { weights, rule: Some(rule) })
}

/// What a state is stored as, besides the weights.
pub(crate) struct Stored {
    pub optimizer: Bytes,
    pub optimizer_steps: u64,
    pub averaged: Option<Vec<Vec<f32>>>,
    pub averaged_steps: u64,
}

/// Moments, averages and counts as they are stored.
pub(crate) fn encode(state: &RuleState) -> Stored {
    let stages = state.moments().map(|moments| StoredMoments {
        first: moments.first.clone(),
        second: moments.second.clone(),
    });
    let stored = StoredRule { rule: Some(state.rule().into()), stages: stages.collect() };
    let averages = state.averages();
    Stored {
        optimizer: stored.encode_to_vec().into(),
        optimizer_steps: state.moments().map(|moments| moments.steps).next().unwrap_or_default(),
        averaged: averages.map(|all| all.iter().map(|one| one.average.clone()).collect()),
        averaged_steps: averages
            .into_iter()
            .flatten()
            .map(|one| one.updates)
            .next()
            .unwrap_or_default(),
    }
}
