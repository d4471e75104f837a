//! Running a training under the eyes of the user.

use std::pin::pin;

use sphinx_client::workspace::{Trained, train_with_history};
use sphinx_client::{SphinxClient, TrainingRequest};
use sphinx_privacy::DeltaWarning;
use tokio::sync::mpsc;

use crate::error::{CliError, note};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::training_display::TrainingDisplay;

/// A training that ended.
pub struct Ended {
    pub trained: Trained,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

/// Trains with live progress. Ctrl-C ends it after the step at hand, a second one at once.
pub async fn run(
    client: &SphinxClient,
    request: TrainingRequest,
    output: Output,
    interrupt: &Interrupt,
) -> Result<Ended, CliError> {
    let examples = request.data.len() as u64;
    if let Some(warning) = DeltaWarning::check(request.delta, examples) {
        note(&format!("warning: {warning}"));
    }
    let epochs_asked = request.options.epochs;
    let mut display = TrainingDisplay::new(output, epochs_asked);
    let (sender, mut steps) = mpsc::unbounded_channel();
    let stop = interrupt.clone();
    let mut training = pin!(train_with_history(client, request, move |progress| {
        // Nobody listens only when the training was given up.
        sender.send(progress.clone()).is_ok() && !stop.asked()
    }));
    let mut told = false;
    let trained = loop {
        tokio::select! {
            biased;
            () = interrupt.asked_times(2) => return Err(CliError::Interrupted),
            () = interrupt.asked_times(1), if !told => {
                told = true;
                display.note("finishing the step; Ctrl-C again stops at once")?;
            }
            Some(progress) = steps.recv() => {
                display.step(&progress)?;
            }
            ended = &mut training => break ended?,
        }
    };
    while let Ok(progress) = steps.try_recv() {
        display.step(&progress)?;
    }
    display.finish();
    Ok(Ended { trained, interrupted: interrupt.asked() })
}
