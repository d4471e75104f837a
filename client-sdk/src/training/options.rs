//! What a user decides about a training.

use sphinx_optimizer::{Decay, OptimizerSpec, Schedule};
use sphinx_privacy::{PlanRequest, PrivacyPlan, Target, expected_batch_for};
use sphinx_proto::TrainingRule;

use crate::error::ClientError;

/// How a training protects the examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Privacy {
    /// (ε, δ)-differential privacy against the server and everybody who sees the model.
    Budget {
        /// ε and δ not to be exceeded over the model's whole life.
        target: Target,
        /// L2 norm to which each example's gradient is clipped.
        clipping_norm: f32,
    },
    /// None: the server sees exact gradients of the weights, from which images can be reconstructed.
    None,
}

/// A training: how long, how fast, how private.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingOptions {
    /// Passes over the data.
    pub epochs: f64,
    /// Blocks of 2048 slots per step.
    pub blocks: u64,
    /// Update rule of weights and biases.
    pub optimizer: OptimizerSpec,
    /// Largest learning rate.
    pub learning_rate: f32,
    /// How it falls.
    pub decay: Decay,
    /// Steps over which it rises first.
    pub warmup: u64,
    /// How the examples are protected.
    pub privacy: Privacy,
}

/// A training on a data set of known size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub steps: u64,
    pub rule: TrainingRule,
    pub privacy: Option<PrivacyPlan>,
}

impl TrainingOptions {
    /// The update rule of a training on so many examples, for [`crate::ClearTwin::new`].
    ///
    /// # Errors
    /// [`ClientError`] if the privacy budget cannot be met or hyper-parameters make no sense.
    pub fn rule(&self, examples: usize) -> Result<TrainingRule, ClientError> {
        Ok(self.plan(examples)?.rule)
    }

    /// Solves for steps, sampling rate and noise.
    pub(crate) fn plan(&self, examples: usize) -> Result<Planned, ClientError> {
        let examples = examples as u64;
        let capacity = self.blocks * sphinx_linalg::SLOTS as u64;
        let privacy = match self.privacy {
            Privacy::Budget { target, .. } => Some(PrivacyPlan::solve(&PlanRequest {
                target,
                examples,
                expected_batch: expected_batch_for(capacity, examples),
                blocks: self.blocks,
                epochs: self.epochs,
            })?),
            Privacy::None => None,
        };
        let steps = match &privacy {
            Some(plan) => plan.segment.steps,
            None => (self.epochs * examples as f64 / capacity.min(examples).max(1) as f64)
                .ceil()
                .max(1.0) as u64,
        };
        let rule = TrainingRule { optimizer: self.optimizer, schedule: self.schedule(steps) };
        rule.optimizer.validate()?;
        rule.schedule.validate()?;
        Ok(Planned { steps, rule, privacy })
    }

    fn schedule(&self, steps: u64) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            decay: self.decay,
            warmup: self.warmup,
            total: steps.max(self.warmup + 1),
        }
    }
}
