//! What a user decides about a training.

use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule, WeightAverage};
use sphinx_privacy::ledger::PrivacyUnit;
use sphinx_privacy::{
    Epsilon, PlanError, PlanRequest, PrivacyPlan, Target, block_capacity, check_blocks,
};

use crate::error::{ClientError, PersonsError, TrainingError};
use crate::training::augmentation::{Augmentation, copies};
use crate::training::persons::Persons;

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
    /// As Tian et al. (S&P 2022) train: gradients of the weights are clipped and noised as by
    /// [`Privacy::Budget`], those of the encrypted biases left exact. No ε is proven: biases depend
    /// on single examples and every later gradient depends on the biases, so one example changes
    /// more than its own clipped gradient.
    ExactBiases {
        /// ε and δ by which the noise is chosen; what they would mean if biases were noised too.
        target: Target,
        /// L2 norm to which each example's gradient is clipped.
        clipping_norm: f32,
    },
    /// None: the server sees exact gradients of the weights, from which images can be
    /// reconstructed.
    None,
}

/// A training: how long, how fast, how private.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingOptions {
    /// Passes over the data.
    pub epochs: f64,
    /// Blocks of 2048 slots per step, at most one more than all examples fill.
    pub blocks: u64,
    /// Expected size of a private training's Poisson batches, size of the others; `None` for the
    /// largest that the blocks hold ([`sphinx_privacy::largest_expected_batch`]).
    pub batch: Option<u64>,
    /// Update rule of weights and biases.
    pub optimizer: OptimizerSpec,
    /// Largest learning rate.
    pub learning_rate: f32,
    /// How it falls.
    pub decay: Decay,
    /// Steps over which it rises first, fewer than the training has.
    pub warmup: u64,
    /// Decay of a moving average of all parameters, in [0, 1), which becomes the model when the
    /// training ends; `None` keeps the last parameters.
    pub averaging: Option<f32>,
    /// Copies of each example in every step; `None` shows each once, as it is.
    pub augmentation: Option<Augmentation>,
    /// Whom the images belong to, if the unit of privacy is a person and not an image. Batches are
    /// then of persons.
    pub persons: Option<Arc<Persons>>,
    /// How the examples are protected.
    pub privacy: Privacy,
}

/// A training on a data set of known size: what the options come to.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedTraining {
    /// Updates of the model.
    pub steps: u64,
    /// How an update changes weights and biases.
    pub rule: TrainingRule,
    /// Sampling and noise; `None` without privacy.
    pub privacy: Option<PrivacyPlan>,
    /// Size of the batches, expected size with privacy.
    pub batch: u64,
    /// ε of the whole training, if nothing was spent before; `None` where none is proven.
    pub epsilon: Option<Epsilon>,
}

impl ResolvedTraining {
    /// Standard deviation of the noise over the clipping norm; `None` without privacy.
    pub fn noise_multiplier(&self) -> Option<f64> {
        self.privacy.as_ref().map(|plan| plan.segment.noise_multiplier.get())
    }
}

impl TrainingOptions {
    /// The update rule of a training on so many examples, for [`crate::ClearTwin::new`].
    ///
    /// # Errors
    /// [`ClientError`] if the privacy budget cannot be met or hyper-parameters make no sense.
    pub fn rule(&self, examples: usize) -> Result<TrainingRule, ClientError> {
        Ok(self.resolve(examples)?.rule)
    }

    /// Solves for steps, sampling rate and noise, without starting anything. Takes about 0.1 s.
    ///
    /// # Errors
    /// [`ClientError`] if the privacy budget cannot be met or hyper-parameters make no sense.
    pub fn resolve(&self, examples: usize) -> Result<ResolvedTraining, ClientError> {
        let examples = self.units(examples)? as u64;
        if !(self.epochs.is_finite() && self.epochs > 0.0) {
            return Err(PlanError::Epochs { got: self.epochs }.into());
        }
        self.augmentation.map_or(Ok(()), Augmentation::validate)?;
        let privacy = match self.privacy {
            Privacy::Budget { target, .. } | Privacy::ExactBiases { target, .. } => {
                Some(PrivacyPlan::solve(&PlanRequest {
                    target,
                    examples,
                    expected_batch: self.batch,
                    blocks: self.blocks,
                    copies: self.copies(),
                    epochs: self.epochs,
                })?)
            }
            Privacy::None => None,
        };
        let (steps, batch) = match &privacy {
            Some(plan) => (plan.segment.steps, plan.expected_batch),
            None => {
                let batch = self.exact_batch(examples)?;
                let steps = (self.epochs * examples as f64 / batch as f64).ceil().max(1.0);
                (steps as u64, batch)
            }
        };
        let (optimizer, averaging) = (self.optimizer, self.averaging);
        let rule = TrainingRule { optimizer, schedule: self.schedule(steps), averaging };
        rule.optimizer.validate()?;
        rule.schedule.validate()?;
        averaging.map_or(Ok(()), WeightAverage::validate)?;
        // What the noise of exact biases was chosen by is not an ε.
        let proven = matches!(self.privacy, Privacy::Budget { .. });
        let epsilon = privacy.as_ref().filter(|_| proven).map(|plan| plan.epsilon);
        Ok(ResolvedTraining { steps, rule, privacy, batch, epsilon })
    }

    /// Examples of every batch but an epoch's last, without privacy.
    fn exact_batch(&self, examples: u64) -> Result<u64, PlanError> {
        let (blocks, copies) = (self.blocks, self.copies());
        let capacity = block_capacity(blocks, copies);
        let batch = self.batch.unwrap_or(capacity.min(examples));
        if examples == 0 {
            Err(PlanError::NoExamples)
        } else if batch > capacity || capacity == 0 {
            Err(PlanError::Blocks { expected: batch.max(1), blocks, copies })
        } else if batch == 0 || batch > examples {
            Err(PlanError::Batch { got: batch, examples })
        } else {
            check_blocks(blocks, copies, examples)?;
            Ok(batch)
        }
    }

    /// Whether the blocks of a step can be spread over so many streams.
    ///
    /// # Errors
    /// [`TrainingError::Shards`] for more than blocks.
    pub fn check_shards(&self, shards: NonZeroUsize) -> Result<(), TrainingError> {
        let (got, blocks) = (shards.get(), self.blocks);
        if got as u64 > blocks { Err(TrainingError::Shards { got, blocks }) } else { Ok(()) }
    }

    /// Units of privacy of a data set of so many examples: these, or the persons they belong to.
    ///
    /// # Errors
    /// [`PersonsError`] if the persons are not those of such a data set.
    pub fn units(&self, examples: usize) -> Result<usize, PersonsError> {
        let Some(persons) = &self.persons else { return Ok(examples) };
        let (got, expected) = (persons.images(), examples);
        if self.augmentation.is_some() {
            Err(PersonsError::Copies)
        } else if got != expected {
            Err(PersonsError::Count { got, expected })
        } else {
            Ok(persons.len())
        }
    }

    /// What is protected.
    pub fn unit(&self) -> PrivacyUnit {
        if self.persons.is_some() { PrivacyUnit::Person } else { PrivacyUnit::Example }
    }

    /// Slots that each example or person takes.
    pub(crate) fn copies(&self) -> u64 {
        self.slots_of_one().get() as u64
    }

    /// The same, for blocks.
    pub(crate) fn slots_of_one(&self) -> NonZeroUsize {
        self.persons.as_ref().map_or(copies(self.augmentation), |persons| persons.slots())
    }

    fn schedule(&self, steps: u64) -> Schedule {
        Schedule { peak: self.learning_rate, decay: self.decay, warmup: self.warmup, total: steps }
    }
}

#[cfg(test)]
mod tests {
    use sphinx_optimizer::OptimizerError;
    use sphinx_privacy::Delta;

    use super::*;

    fn options(privacy: Privacy) -> TrainingOptions {
        TrainingOptions {
            epochs: 4.0,
            blocks: 1,
            batch: Some(100),
            optimizer: OptimizerSpec::ADAM,
            learning_rate: 0.1,
            decay: Decay::Constant,
            warmup: 0,
            averaging: None,
            augmentation: None,
            persons: None,
            privacy,
        }
    }

    /// Without noise and with.
    fn kinds() -> [TrainingOptions; 2] {
        let target = Target::new(8.0, Delta::new(1e-5).unwrap()).unwrap();
        [Privacy::None, Privacy::Budget { target, clipping_norm: 0.1 }].map(options)
    }

    fn refused(options: &TrainingOptions) -> ClientError {
        options.resolve(1000).unwrap_err()
    }

    #[test]
    fn rejects_more_shards_than_blocks() {
        let shards = |count| NonZeroUsize::new(count).unwrap();
        let options = TrainingOptions { blocks: 5, ..options(Privacy::None) };
        assert!((1..=5).all(|count| options.check_shards(shards(count)).is_ok()));
        for got in [6, usize::MAX] {
            let error = options.check_shards(shards(got)).unwrap_err();
            assert!(matches!(error, TrainingError::Shards { blocks: 5, got: of } if of == got));
        }
    }

    #[test]
    fn rejects_epochs_that_are_none() {
        for options in kinds() {
            for epochs in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                let error = refused(&TrainingOptions { epochs, ..options.clone() });
                let expected = ClientError::from(PlanError::Epochs { got: epochs });
                assert_eq!(error.to_string(), expected.to_string());
            }
        }
    }

    #[test]
    fn rejects_a_warmup_as_long_as_the_training() {
        for options in kinds() {
            let warm = |warmup| TrainingOptions { warmup, ..options.clone() };
            assert_eq!(warm(39).resolve(1000).unwrap().rule.schedule.total, 40);
            for warmup in [40, u64::MAX] {
                let error = refused(&warm(warmup));
                let expected = OptimizerError::Warmup { warmup, total: 40 };
                assert!(
                    matches!(&error, ClientError::Training(TrainingError::Optimizer(got)) if *got == expected)
                );
            }
        }
    }

    #[test]
    fn rejects_more_blocks_than_the_examples_fill() {
        for options in kinds() {
            let wide = |blocks| TrainingOptions { blocks, ..options.clone() };
            assert!(wide(2).resolve(1000).is_ok());
            for blocks in [3, 1_000_000_000, u64::MAX] {
                let error = refused(&wide(blocks));
                let ClientError::Training(TrainingError::PrivacyPlan(error)) = &error else {
                    panic!("{error}")
                };
                let (copies, examples) = (1, 1000);
                let expected = PlanError::ManyBlocks { got: blocks, most: 2, copies, examples };
                assert_eq!(*error, expected);
            }
        }
    }
}
