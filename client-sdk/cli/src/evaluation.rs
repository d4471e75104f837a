//! Testing a model under the eyes of the user.

use indicatif::ProgressBar;
use sphinx_client::data::{Dataset, Pipeline};
use sphinx_client::one_shot::{Batches, OneShot};
use sphinx_client::recognition::{DatasetProgress, Recogniser};
use sphinx_client::workspace::Evaluation;
use sphinx_client::{NetworkSpec, Traffic};

use crate::error::CliError;
use crate::metrics_text::metrics_text;
use crate::numbers::{per_image, percent, seconds};
use crate::output::Output;
use crate::report::confusion_text;
use crate::training_display::bar;

/// Who recognises the images of a test.
pub enum Engine {
    Tickets(Box<Recogniser>),
    OneShot(Box<OneShot>),
    Batches(Box<Batches>),
}

impl Engine {
    /// The model's network, and what its owner says that pictures become.
    pub fn model(&self) -> (&NetworkSpec, Option<&Pipeline>) {
        match self {
            Self::Tickets(recogniser) => (recogniser.network(), recogniser.pipeline()),
            Self::OneShot(one_shot) => (one_shot.network(), one_shot.pipeline()),
            Self::Batches(batches) => (batches.network(), batches.pipeline()),
        }
    }
}

/// Tests a model with live progress.
pub async fn run(
    engine: &Engine,
    set: &Dataset,
    reject: Option<f32>,
    output: Output,
) -> Result<Evaluation, CliError> {
    let bar = output.is_watched().then(|| bar("recognising"));
    let show = |progress| show(bar.as_ref(), output, progress);
    let evaluation = match engine {
        Engine::Tickets(recogniser) => Evaluation::rejecting(recogniser, set, reject, show).await?,
        Engine::OneShot(one_shot) => Evaluation::one_shot(one_shot, set, reject, show).await?,
        Engine::Batches(batches) => Evaluation::batches(batches, set, reject, show).await?,
    };
    if let Some(bar) = bar {
        bar.abandon();
    }
    Ok(evaluation)
}

/// Accuracy and confusion matrix.
pub fn accuracy_text(evaluation: &Evaluation) -> String {
    let correct = (evaluation.accuracy * evaluation.images as f64).round();
    let accuracy = percent(evaluation.accuracy);
    let of = format_args!("({correct} of {} test images)", evaluation.images);
    let metrics = metrics_text(&evaluation.metrics);
    let confusion = confusion_text(&evaluation.confusion);
    format!("test accuracy  {accuracy} {of}\n{metrics}\n{confusion}")
}

/// Time and bytes.
pub fn cost_text(evaluation: &Evaluation) -> String {
    let Evaluation { images, .. } = evaluation;
    let (up, down) = (evaluation.preparing_bytes_up, evaluation.preparing_bytes_down);
    let preparing = per_image(Traffic { up, down }, *images);
    let (up, down) = (evaluation.recognising_bytes_up, evaluation.recognising_bytes_down);
    let recognising = per_image(Traffic { up, down }, *images);
    format!(
        "{}; preparing tickets {preparing}; recognising {recognising}",
        seconds(evaluation.seconds)
    )
}

fn show(bar: Option<&ProgressBar>, output: Output, progress: DatasetProgress) {
    let DatasetProgress { prepared, recognised, total } = progress;
    match bar {
        Some(bar) => {
            bar.set_length(total as u64);
            bar.set_position(recognised as u64);
            bar.set_message(format!("{prepared} tickets prepared"));
        }
        // A line that is lost is no reason to stop.
        None if prepared == recognised => {
            let _ = output.note(&format!("recognised {recognised}/{total} images"));
        }
        None => {}
    }
}
