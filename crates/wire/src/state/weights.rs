//! Weights and the state of their update rule, stepped alike on both sides.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use sphinx_network::{Plan, initial_parameters};
use sphinx_optimizer::{
    OptimizerError, OptimizerSpec, OptimizerState, RuleState, StepRates, TrainingRule,
};

use super::hash::{Hash, floats};

/// Weights by stage, and what the rule of the last training remembers of them; none before the
/// first.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightState {
    /// Weights by stage.
    pub weights: Vec<Vec<f32>>,
    /// Moments and averages.
    pub rule: Option<RuleState>,
}

/// The averages are to become the weights, and none are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session keeps no average to adopt: open it with optimizer.averaging, a decay in [0, 1)"
)]
pub struct NoAverage;

impl WeightState {
    /// Random initial weights; equal for equal seeds.
    pub fn initial(plan: &Plan, seed: u64) -> Self {
        let parameters = initial_parameters(plan, &mut ChaCha20Rng::seed_from_u64(seed));
        Self { weights: parameters.into_iter().map(|stage| stage.weights).collect(), rule: None }
    }

    /// As a training by `rule` begins or, `within` the one that left this state, goes on.
    ///
    /// # Errors
    /// As [`RuleState::new`].
    pub fn opened(self, rule: TrainingRule, within: bool) -> Result<Self, OptimizerError> {
        let Self { weights, rule: before } = self;
        let rule = match before {
            Some(before) => before.carried(rule, within, &weights)?,
            None => RuleState::new(rule, &weights)?,
        };
        Ok(Self { weights, rule: Some(rule) })
    }

    /// A step along a gradient.
    ///
    /// # Errors
    /// As [`RuleState::step`]; the state is of no use then.
    pub fn step(&mut self, rates: &StepRates, gradient: &[Vec<f32>]) -> Result<(), OptimizerError> {
        match &mut self.rule {
            Some(rule) => rule.step(rates, &mut self.weights, gradient),
            None => Ok(()),
        }
    }

    /// Puts the averages in the weights' place.
    ///
    /// # Errors
    /// [`NoAverage`] if none are kept.
    pub fn adopt(&mut self) -> Result<(), NoAverage> {
        let averages = self.rule.as_ref().and_then(RuleState::averages).ok_or(NoAverage)?;
        let weights = self.weights.iter_mut().zip(averages);
        weights.for_each(|(to, from)| to.clone_from(&from.average));
        Ok(())
    }

    /// H of the weights.
    pub fn weights_sha256(&self) -> Hash {
        let mut hash = Sha256::new_with_prefix(b"sphinx weights 1");
        floats(&mut hash, &self.weights);
        hash.finalize().into()
    }

    /// H of the optimiser, its moments and averages, and how many steps they have taken in.
    pub fn optimizer_sha256(&self) -> Hash {
        let mut hash = Sha256::new_with_prefix(b"sphinx optimizer 1");
        let Some(state) = &self.rule else { return hash.finalize().into() };
        hash.update(rule_bytes(state.rule()));
        for OptimizerState { steps, first, second } in state.moments() {
            hash.update(steps.to_le_bytes());
            floats(&mut hash, [first, second]);
        }
        for average in state.averages().unwrap_or_default() {
            hash.update(average.updates.to_le_bytes());
            floats(&mut hash, [&average.average]);
        }
        hash.finalize().into()
    }
}

/// Optimiser and averaging, whatever the schedule: it travels as rates.
fn rule_bytes(rule: &TrainingRule) -> Vec<u8> {
    let (tag, numbers) = match rule.optimizer {
        OptimizerSpec::Sgd { momentum, nesterov } => {
            (1u8, vec![momentum, f32::from(u8::from(nesterov))])
        }
        OptimizerSpec::Adam { beta1, beta2, epsilon } => (2, vec![beta1, beta2, epsilon]),
    };
    let averaging = rule.averaging.map_or(vec![], |decay| vec![decay]);
    let numbers = numbers.into_iter().chain(averaging);
    std::iter::once(tag).chain(numbers.flat_map(|number| number.to_bits().to_le_bytes())).collect()
}
