//! The epochs of a training, added up from its steps.

use serde::{Deserialize, Deserializer, Serialize};

use crate::training::Progress;

/// One epoch of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Mean cross-entropy per image in nats; not finite (`null`) after divergence.
    #[serde(deserialize_with = "null_as_nan")]
    pub loss: f64,
    /// Share of the epoch's images recognised while training, 0 to 1.
    pub train_accuracy: f64,
    /// Share of test images recognised after the epoch, 0 to 1, if it was measured.
    pub test_accuracy: Option<f64>,
    /// ε spent so far; `None` without differential privacy.
    pub epsilon: Option<f64>,
    /// Time of the epoch, in seconds.
    pub seconds: f64,
    /// Images trained on.
    pub images: u64,
}

/// Adds up the steps of each epoch.
#[derive(Debug, Default)]
pub(super) struct History {
    pub epochs: Vec<EpochReport>,
    /// Passes over the data, in expectation.
    pub epoch: f64,
    /// Images trained on, with repetition.
    pub images: u64,
}

impl History {
    pub fn add(&mut self, progress: &Progress) {
        // A step belongs to the epoch it begins in: the last of six epochs may end at 6.02.
        let number = (self.epoch + 1e-9).floor() as u32 + 1;
        self.epoch = progress.epoch;
        self.images += progress.examples as u64;
        if self.epochs.last().is_none_or(|last| last.epoch != number) {
            self.epochs.push(EpochReport {
                epoch: number,
                loss: 0.0,
                train_accuracy: 0.0,
                test_accuracy: None,
                epsilon: None,
                seconds: 0.0,
                images: 0,
            });
        }
        let Some(epoch) = self.epochs.last_mut() else { return };
        let before = epoch.images as f64;
        epoch.images += progress.examples as u64;
        let share = progress.examples as f64 / (before + progress.examples as f64).max(1.0);
        epoch.loss += (progress.loss - epoch.loss) * share;
        epoch.train_accuracy += (progress.accuracy - epoch.train_accuracy) * share;
        epoch.epsilon = progress.epsilon.map(|epsilon| epsilon.proven());
        epoch.seconds += progress.step_time.as_secs_f64();
    }
}

/// JSON has no NaN or infinity; they are written as `null`.
fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Traffic;

    fn step(epoch: f64, examples: usize, loss: f64) -> Progress {
        Progress {
            step: 1,
            steps: 4,
            epoch,
            loss,
            accuracy: loss / 2.0,
            examples,
            clipped: 0.0,
            step_time: Duration::from_millis(500),
            epsilon: None,
            traffic: Traffic::default(),
            check_cpu: Duration::ZERO,
        }
    }

    #[test]
    fn steps_are_averaged_by_epoch_and_by_examples() {
        let mut history = History::default();
        for progress in [step(0.5, 100, 2.0), step(1.0, 300, 1.0), step(1.5, 50, 0.5)] {
            history.add(&progress);
        }
        assert_eq!((history.epochs.len(), history.images, history.epoch), (2, 450, 1.5));
        let first = &history.epochs[0];
        assert_eq!((first.epoch, first.images, first.seconds), (1, 400, 1.0));
        assert!((first.loss - 1.25).abs() < 1e-12, "{}", first.loss);
        assert!((first.train_accuracy - 0.625).abs() < 1e-12);
        assert_eq!((history.epochs[1].epoch, history.epochs[1].loss), (2, 0.5));
    }

    #[test]
    fn a_step_without_examples_changes_no_mean() {
        let mut history = History::default();
        history.add(&step(0.5, 10, 2.0));
        history.add(&step(0.9, 0, 0.0));
        assert_eq!(history.epochs[0].loss, 2.0);
    }
}
