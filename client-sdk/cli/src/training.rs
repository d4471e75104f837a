//! Running a training under the eyes of the user.

use sphinx_client::workspace::{Trained, TrainingJob};
use sphinx_client::{SphinxClient, TrainingRequest};
use sphinx_privacy::DeltaWarning;

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
    for_steps(client, (request, usize::MAX), output, interrupt).await
}

/// As [`run`], for at most so many steps.
pub async fn for_steps(
    client: &SphinxClient,
    (request, most): (TrainingRequest, usize),
    output: Output,
    interrupt: &Interrupt,
) -> Result<Ended, CliError> {
    let examples = request.data.len() as u64;
    if let Some(warning) = DeltaWarning::check(request.delta, examples) {
        note(&format!("warning: {warning}"));
    }
    let epochs_asked = request.options.epochs;
    let mut display = TrainingDisplay::new(output, epochs_asked);
    let job = TrainingJob::for_steps(client, request, most);
    let mut steps = job.watcher();
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = interrupt.asked_times(2) => return Err(CliError::Interrupted),
            () = interrupt.asked_times(1), if !told => {
                told = true;
                job.stop();
                display.note("finishing the step; Ctrl-C again stops at once")?;
            }
            step = steps.next() => match step {
                Some(progress) => display.step(&progress)?,
                None => break,
            },
        }
    }
    let trained = job.finish().await?;
    display.finish();
    Ok(Ended { trained, interrupted: interrupt.asked() })
}
