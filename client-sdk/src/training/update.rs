//! From clipped gradient sums to the update that leaves this machine.

use rand::CryptoRng;
use sphinx_gradient::{BlockGradient, Clipping};
use sphinx_linalg::BIAS_GRID_LOG2;
use sphinx_network::Plan;
use sphinx_optimizer::{RuleState, TrainingRule};
use sphinx_privacy::{GaussianMechanism, MechanismSpec, PrivacyPlan};

use crate::error::ClientError;
use crate::training::evaluator::Update;
use crate::training::options::{Privacy, TrainingOptions};

/// Makes updates: noise on everything, then the biases' own optimiser. It runs here because the
/// server cannot see the biases' gradient.
pub(crate) struct UpdateMaker {
    /// `None` trains without noise.
    mechanism: Option<GaussianMechanism>,
    clipping: Clipping,
    /// What the noised sum is divided by; `None` for the true batch size.
    expected_batch: Option<f64>,
    weights: Vec<usize>,
    biases: Vec<usize>,
    /// Of the biases by stage; its averages are those of the committed ones.
    rule: RuleState,
    /// Largest bias on the grid within the network's bound.
    largest_bias: f32,
}

impl UpdateMaker {
    /// A maker for a session that starts with `biases`.
    pub fn new(
        plan: &Plan,
        bias_bound: f32,
        biases: &[Vec<f32>],
        rule: TrainingRule,
        (options, planned): (&TrainingOptions, Option<&PrivacyPlan>),
    ) -> Result<Self, ClientError> {
        let rule = RuleState::new(rule, biases)?;
        let weights: Vec<_> = plan.stages.iter().map(|stage| stage.linear.weight_count()).collect();
        let biases: Vec<_> = plan.stages.iter().map(|stage| stage.linear.bias_count()).collect();
        let mechanism = |clipping_norm: f32, plan: &PrivacyPlan, dimension| {
            GaussianMechanism::new(MechanismSpec {
                clipping_norm: f64::from(clipping_norm),
                noise_multiplier: plan.segment.noise_multiplier,
                dimension,
                slack: MechanismSpec::group_slack(options.blocks, options.copies()),
            })
        };
        let (mechanism, clipping) = match (options.privacy, planned) {
            (Privacy::Budget { clipping_norm, .. }, Some(plan)) => {
                let dimension = weights.iter().chain(&biases).sum();
                (Some(mechanism(clipping_norm, plan, dimension)?), Clipping::Flat(clipping_norm))
            }
            (Privacy::ExactBiases { clipping_norm, .. }, Some(plan)) => {
                let dimension = weights.iter().sum();
                (Some(mechanism(clipping_norm, plan, dimension)?), Clipping::Weights(clipping_norm))
            }
            (Privacy::Budget { .. } | Privacy::ExactBiases { .. } | Privacy::None, _) => {
                (None, Clipping::None)
            }
        };
        let expected_batch = planned.map(|plan| plan.expected_batch as f64);
        Ok(Self {
            mechanism,
            clipping,
            expected_batch,
            weights,
            biases,
            rule,
            largest_bias: largest_on_grid(bias_bound),
        })
    }

    /// How the examples' gradients are bounded.
    pub fn clipping(&self) -> Clipping {
        self.clipping
    }

    /// The update of step `step` from the blocks' sums, given the current biases.
    pub fn make(
        &mut self,
        step: u64,
        blocks: &[BlockGradient],
        biases: &[Vec<f32>],
        rng: &mut impl CryptoRng,
    ) -> Result<Update, ClientError> {
        let sum = flat_sum(blocks);
        let examples: usize = blocks.iter().map(|block| block.examples).sum();
        let divisor = self.expected_batch.unwrap_or(examples.max(1) as f64);
        let released = match &self.mechanism {
            Some(mechanism) => {
                // Behind what the mechanism covers lie exact biases, if they are to be exact.
                let (noised, exact) = sum.split_at(mechanism.spec().dimension.min(sum.len()));
                let noised = mechanism.release(noised, rng)?.into_vec().into_iter();
                noised.map(f64::from).chain(exact.iter().copied()).collect()
            }
            None => sum,
        };
        let mut mean = released.into_iter().map(|value| (value / divisor) as f32);
        let mut take = |counts: &[usize]| -> Vec<Vec<f32>> {
            counts.iter().map(|&count| mean.by_ref().take(count).collect()).collect()
        };
        let gradient = take(&self.weights);
        let bias_gradient = take(&self.biases);
        let bound = self.largest_bias;
        let mut next = biases.to_vec();
        self.rule.descend(step, &mut next, &bias_gradient)?;
        let bias_change = next.iter().zip(biases).map(|(next, now)| change(next, now, bound));
        let bias_change = bias_change.collect();
        Ok(Update { gradient, bias_change, adopts_average: false })
    }

    /// Takes the biases after a committed step into their average, if one is kept.
    pub fn committed(&mut self, biases: &[Vec<f32>]) -> Result<(), ClientError> {
        Ok(self.rule.take_in(biases)?)
    }

    /// The update that makes the averaged parameters the model, `None` if none are kept.
    pub fn adoption(&self, biases: &[Vec<f32>]) -> Option<Update> {
        let averages = self.rule.averages()?.iter().zip(biases);
        let bound = self.largest_bias;
        let bias_change = averages.map(|(average, now)| change(&average.average, now, bound));
        let bias_change = bias_change.collect();
        Some(Update { gradient: Vec::new(), bias_change, adopts_average: true })
    }
}

/// What leads from biases on the grid to the nearest ones on the grid to `next` that a bound on the
/// grid allows.
fn change(next: &[f32], biases: &[f32], bound: f32) -> Vec<f32> {
    next.iter().zip(biases).map(|(next, old)| on_grid(next.clamp(-bound, bound)) - old).collect()
}

/// The nearest multiple of the biases' grid.
fn on_grid(bias: f32) -> f32 {
    let steps_per_unit = f64::from(BIAS_GRID_LOG2).exp2();
    ((f64::from(bias) * steps_per_unit).round() / steps_per_unit) as f32
}

/// The largest multiple of the biases' grid that does not exceed a bound: rounded to the nearest, a
/// bias at the bound could exceed it, and sessions refuse such biases.
fn largest_on_grid(bound: f32) -> f32 {
    let steps_per_unit = f64::from(BIAS_GRID_LOG2).exp2();
    ((f64::from(bound) * steps_per_unit).floor() / steps_per_unit) as f32
}

/// All weights by stage, then all biases by stage, summed over the blocks.
fn flat_sum(blocks: &[BlockGradient]) -> Vec<f64> {
    let mut sum: Vec<f64> = Vec::new();
    for block in blocks {
        let values = block.weights.iter().chain(&block.biases).flatten();
        if sum.is_empty() {
            sum.extend(values);
        } else {
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    sum
}

#[cfg(test)]
mod tests;
