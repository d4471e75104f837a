//! From clipped gradient sums to the update that leaves this machine.

use rand::CryptoRng;
use sphinx_gradient::{BlockGradient, Clipping};
use sphinx_network::Plan;
use sphinx_privacy::{GaussianMechanism, MechanismSpec, PrivacyPlan};

use crate::error::ClientError;
use crate::training::evaluator::Update;
use crate::training::options::{Privacy, TrainingOptions};

/// Makes updates: noise on everything, divided by the expected batch size.
pub(crate) struct UpdateMaker {
    /// `None` trains without noise.
    mechanism: Option<GaussianMechanism>,
    clipping: Clipping,
    /// What the noised sum is divided by; `None` for the true batch size.
    expected_batch: Option<f64>,
    weights: Vec<usize>,
    biases: Vec<usize>,
}

impl UpdateMaker {
    /// A maker for a training.
    pub fn new(
        plan: &Plan,
        (options, planned): (&TrainingOptions, Option<&PrivacyPlan>),
    ) -> Result<Self, ClientError> {
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
        Ok(Self { mechanism, clipping, expected_batch, weights, biases })
    }

    /// How the examples' gradients are bounded.
    pub fn clipping(&self) -> Clipping {
        self.clipping
    }

    /// The update made of the blocks' sums.
    pub fn make(
        &self,
        blocks: &[BlockGradient],
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
        let (gradient, bias_gradient) = (take(&self.weights), take(&self.biases));
        Ok(Update { gradient, bias_gradient, adopts_average: false })
    }
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
