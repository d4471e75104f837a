//! Testing a model on a data set through the inference service.

use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_client::data::Dataset;
use sphinx_client::recognition::{DatasetProgress, Recogniser};
use sphinx_client::report::{Confusion, confusion_text};
use sphinx_client::{KeyId, ModelId, SphinxClient, Traffic};
use sphinx_network::Plan;
use sphinx_secret::SecretKey;

use crate::error::CliError;
use crate::numbers::{per_image, percent, seconds};
use crate::output::Output;
use crate::training_display::bar;

/// Digits 0 to 9.
const CLASSES: usize = 10;

/// What a test came to.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    pub model: String,
    pub version: u64,
    pub images: u64,
    /// Share of images recognised.
    pub accuracy: f64,
    /// Counts, `[true][predicted]`.
    pub confusion: Confusion,
    pub seconds: f64,
    pub preparing_bytes_up: u64,
    pub preparing_bytes_down: u64,
    pub recognising_bytes_up: u64,
    pub recognising_bytes_down: u64,
}

impl Evaluation {
    /// Recognises every image of `set` with the newest version of a model.
    pub async fn of(
        client: &SphinxClient,
        model: &ModelId,
        (key_id, key): (&KeyId, Arc<SecretKey>),
        set: &Dataset,
        output: Output,
    ) -> Result<Self, CliError> {
        let started = Instant::now();
        let recogniser = Recogniser::new(client, model, key, key_id).await?;
        let got = Plan::new(recogniser.network())?.classes;
        if got != CLASSES {
            return Err(CliError::Classes { got, expected: CLASSES });
        }
        let bar = output.is_watched().then(|| bar("recognising"));
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        let show = |progress| show(bar.as_ref(), output, progress);
        let done = recogniser.classify_dataset(set, &mut rng, show).await?;
        if let Some(bar) = bar {
            bar.abandon();
        }
        let mut confusion = Confusion::default();
        for (label, prediction) in set.labels().iter().zip(&done.predictions) {
            let row = confusion.get_mut(usize::from(*label));
            if let Some(count) = row.and_then(|row| row.get_mut(prediction.class)) {
                *count += 1;
            }
        }
        let correct: u64 = (0..CLASSES).map(|digit| confusion[digit][digit]).sum();
        Ok(Self {
            model: model.to_string(),
            version: recogniser.version(),
            images: set.len() as u64,
            accuracy: correct as f64 / set.len().max(1) as f64,
            confusion,
            seconds: started.elapsed().as_secs_f64(),
            preparing_bytes_up: done.preparing.up,
            preparing_bytes_down: done.preparing.down,
            recognising_bytes_up: done.recognising.up,
            recognising_bytes_down: done.recognising.down,
        })
    }

    /// Accuracy and confusion matrix.
    pub fn accuracy_text(&self) -> String {
        let correct = (self.accuracy * self.images as f64).round();
        let accuracy = percent(self.accuracy);
        let of = format_args!("({correct} of {} test images)", self.images);
        format!("test accuracy  {accuracy} {of}\n\n{}", confusion_text(&self.confusion))
    }

    /// Time and bytes.
    pub fn cost_text(&self) -> String {
        let (up, down) = (self.preparing_bytes_up, self.preparing_bytes_down);
        let preparing = per_image(Traffic { up, down }, self.images);
        let (up, down) = (self.recognising_bytes_up, self.recognising_bytes_down);
        let recognising = per_image(Traffic { up, down }, self.images);
        format!(
            "{}; preparing tickets {preparing}; recognising {recognising}",
            seconds(self.seconds)
        )
    }
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
