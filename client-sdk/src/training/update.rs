//! From clipped gradient sums to the update that leaves this machine.

use rand::CryptoRng;
use sphinx_gradient::{BlockGradient, Clipping};
use sphinx_linalg::SLOTS;
use sphinx_network::Plan;
use sphinx_privacy::{GaussianMechanism, MechanismSpec, PrivacyPlan};

use crate::error::ClientError;
use crate::training::evaluator::Update;
use crate::training::options::Privacy;

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
    /// A maker for a training that sends so many blocks per step.
    pub fn new(
        plan: &Plan,
        (privacy, planned, blocks): (Privacy, Option<&PrivacyPlan>, u64),
    ) -> Result<Self, ClientError> {
        let weights: Vec<_> = plan.stages.iter().map(|stage| stage.linear.weight_count()).collect();
        let biases: Vec<_> = plan.stages.iter().map(|stage| stage.linear.bias_count()).collect();
        let mechanism = |clipping_norm: f32, plan: &PrivacyPlan, dimension| {
            GaussianMechanism::new(MechanismSpec {
                clipping_norm: f64::from(clipping_norm),
                noise_multiplier: plan.segment.noise_multiplier,
                dimension,
                // Each component passes through at most a block's examples, one after the other;
                // blocks are added in f64. With augmentation the slots of an example add at most
                // the clipping norm each on average (sphinx-gradient counts it as that large), so
                // slots are what is summed here too.
                slack: MechanismSpec::f32_slack(blocks, SLOTS as u64, SLOTS as u64),
            })
        };
        let (mechanism, clipping) = match (privacy, planned) {
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
                let mut released = mechanism.release(noised, rng)?.into_vec();
                released.extend(exact);
                released
            }
            None => sum,
        };
        let mut mean = released.into_iter().map(|value| (f64::from(value) / divisor) as f32);
        let mut take = |counts: &[usize]| -> Vec<Vec<f32>> {
            counts.iter().map(|&count| mean.by_ref().take(count).collect()).collect()
        };
        let (gradient, bias_gradient) = (take(&self.weights), take(&self.biases));
        Ok(Update { gradient, bias_gradient, adopts_average: false })
    }
}

/// All weights by stage, then all biases by stage, summed over the blocks in f64.
fn flat_sum(blocks: &[BlockGradient]) -> Vec<f32> {
    let mut sum: Vec<f64> = Vec::new();
    for block in blocks {
        let values = block.weights.iter().chain(&block.biases).flatten();
        if sum.is_empty() {
            sum.extend(values.map(|&value| f64::from(value)));
        } else {
            sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
        }
    }
    sum.into_iter().map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests;
