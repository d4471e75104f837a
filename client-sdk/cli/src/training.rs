//! Running a training under the eyes of the user.

use std::pin::pin;

use sphinx_client::report::EpochReport;
use sphinx_client::{Progress, SphinxClient, TrainingRequest, TrainingSummary};
use sphinx_privacy::DeltaWarning;
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::training_display::TrainingDisplay;

/// A training that ended, by itself or by Ctrl-C.
pub struct Trained {
    pub summary: TrainingSummary,
    /// Passes over the data, in expectation.
    pub epochs: f64,
    /// One entry per epoch, the last possibly of a part.
    pub history: Vec<EpochReport>,
    /// Images trained on, with repetition.
    pub images: u64,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

/// Trains with live progress. Ctrl-C ends it after the step at hand, a second one at once.
pub async fn run(
    client: &SphinxClient,
    request: TrainingRequest,
    output: Output,
    interrupt: &Interrupt,
) -> Result<Trained, CliError> {
    let examples = request.data.len() as u64;
    if let Some(warning) = DeltaWarning::check(request.delta, examples) {
        eprintln!("warning: {warning}");
    }
    let epochs_asked = request.options.epochs;
    let mut display = TrainingDisplay::new(output, epochs_asked);
    let mut history = History::default();
    let (sender, mut steps) = mpsc::unbounded_channel();
    let stop = interrupt.clone();
    let mut training = pin!(client.train_model(request, move |progress| {
        // Nobody listens only when the training was given up.
        sender.send(progress.clone()).is_ok() && !stop.asked()
    }));
    let mut told = false;
    let summary = loop {
        tokio::select! {
            biased;
            () = interrupt.asked_times(2) => return Err(CliError::Interrupted),
            () = interrupt.asked_times(1), if !told => {
                told = true;
                display.note("finishing the step; Ctrl-C again stops at once")?;
            }
            Some(progress) = steps.recv() => {
                history.add(&progress);
                display.step(&progress)?;
            }
            ended = &mut training => break ended?,
        }
    };
    while let Ok(progress) = steps.try_recv() {
        history.add(&progress);
        display.step(&progress)?;
    }
    display.finish();
    let History { epochs, epoch, images } = history;
    let interrupted = interrupt.asked();
    Ok(Trained { summary, epochs: epoch, history: epochs, images, interrupted })
}

/// Adds up the steps of each epoch.
#[derive(Default)]
struct History {
    epochs: Vec<EpochReport>,
    epoch: f64,
    images: u64,
}

impl History {
    fn add(&mut self, progress: &Progress) {
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
        epoch.epsilon = progress.epsilon.map(|epsilon| epsilon.improved);
        epoch.seconds += progress.step_time.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sphinx_client::Traffic;

    use super::*;

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
