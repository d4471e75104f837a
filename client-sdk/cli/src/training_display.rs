//! Progress of a training: a bar for people, lines for files.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sphinx_client::Progress;

use crate::error::CliError;
use crate::numbers::{percent, seconds};
use crate::output::Output;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(5);

pub struct TrainingDisplay {
    output: Output,
    /// `None`: lines.
    bar: Option<ProgressBar>,
    epochs: f64,
    printed: Option<Instant>,
    /// When the first step was done, and its number.
    first: Option<(Instant, u64)>,
}

impl TrainingDisplay {
    pub fn new(output: Output, epochs: f64) -> Self {
        let bar = output.is_watched().then(|| bar("training"));
        Self { output, bar, epochs, printed: None, first: None }
    }

    /// Shows the state after a step.
    pub fn step(&mut self, progress: &Progress) -> Result<(), CliError> {
        let text = self.describe(progress);
        if let Some(bar) = &self.bar {
            bar.set_length(progress.steps);
            bar.set_position(progress.step);
            bar.set_message(text);
            return Ok(());
        }
        self.first.get_or_insert((Instant::now(), progress.step));
        let due = self.printed.is_none_or(|printed| printed.elapsed() >= PAUSE);
        if due || progress.step == progress.steps {
            self.printed = Some(Instant::now());
            let left = self.left(progress).map_or(String::new(), |left| format!("  {left} left"));
            self.output
                .note(&format!("step {}/{}  {text}{left}", progress.step, progress.steps))?;
        }
        Ok(())
    }

    /// Says something between the steps.
    pub fn note(&self, text: &str) -> Result<(), CliError> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }

    /// Leaves the last state on the screen.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }

    /// How long the other steps take, if they take as long as those before.
    fn left(&self, progress: &Progress) -> Option<String> {
        let (begun, first) = self.first?;
        let done = progress.step.checked_sub(first).filter(|done| *done > 0)?;
        let steps = progress.steps.checked_sub(progress.step).filter(|left| *left > 0)?;
        Some(seconds(begun.elapsed().as_secs_f64() / done as f64 * steps as f64))
    }

    fn describe(&self, progress: &Progress) -> String {
        let rate = progress.examples as f64 / progress.step_time.as_secs_f64().max(1e-9);
        let epsilon = match progress.epsilon {
            Some(epsilon) => format!("ε {:.2}", epsilon.proven()),
            None => "ε none proven".to_owned(),
        };
        format!(
            "epoch {:.2}/{}  loss {:.3}  accuracy {}  {rate:.0} images/s  {epsilon}",
            progress.epoch,
            self.epochs,
            progress.loss,
            percent(progress.accuracy),
        )
    }
}

/// A bar that keeps moving while a step takes long, with a line of numbers below it.
pub fn bar(title: &'static str) -> ProgressBar {
    let template = "{prefix} [{wide_bar}] {pos}/{len} {eta}\n{wide_msg}";
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::no_length().with_style(style).with_prefix(title);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
