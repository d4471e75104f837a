//! Testing a model on a data set.

use std::time::Instant;

use serde::Serialize;
use sphinx_network::Plan;

use crate::ModelId;
use crate::data::Dataset;
use crate::error::ClientError;
use crate::recognition::{DatasetProgress, Recogniser};
use crate::workspace::{Workspace, WorkspaceError};

/// Digits 0 to 9.
const CLASSES: usize = 10;

/// Counts by class: `confusion[true digit][predicted digit]`.
pub type Confusion = [[u64; CLASSES]; CLASSES];

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The model.
    pub model: String,
    /// The version that was tested.
    pub version: u64,
    /// Images of the test.
    pub images: u64,
    /// Share of images recognised, 0 to 1.
    pub accuracy: f64,
    /// Counts, `[true][predicted]`.
    pub confusion: Confusion,
    /// Time of the whole test.
    pub seconds: f64,
    /// Bytes sent to prepare tickets.
    pub preparing_bytes_up: u64,
    /// Bytes received to prepare tickets.
    pub preparing_bytes_down: u64,
    /// Bytes sent in the online rounds.
    pub recognising_bytes_up: u64,
    /// Bytes received in the online rounds.
    pub recognising_bytes_down: u64,
}

impl Evaluation {
    /// Recognises every image of `set`; `progress` is called after each block of images.
    ///
    /// # Errors
    /// [`WorkspaceError::Classes`] if the network does not tell ten classes apart; others as
    /// [`Recogniser::classify_dataset`].
    pub async fn of(
        recogniser: &Recogniser,
        set: &Dataset,
        progress: impl FnMut(DatasetProgress),
    ) -> Result<Self, WorkspaceError> {
        let started = Instant::now();
        let got = Plan::new(recogniser.network()).map_err(ClientError::from)?.classes;
        if got != CLASSES {
            return Err(WorkspaceError::Classes { got, expected: CLASSES });
        }
        let mut rng = crate::secure_rng();
        let done = recogniser.classify_dataset(set, &mut rng, progress).await?;
        let mut confusion = Confusion::default();
        for (label, prediction) in set.labels().iter().zip(&done.predictions) {
            let row = confusion.get_mut(usize::from(*label));
            if let Some(count) = row.and_then(|row| row.get_mut(prediction.class)) {
                *count += 1;
            }
        }
        let correct: u64 = (0..CLASSES).map(|digit| confusion[digit][digit]).sum();
        Ok(Self {
            model: recogniser.model_id().to_string(),
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
}

impl Workspace {
    /// Tests the newest version of a model.
    ///
    /// # Errors
    /// As [`Workspace::recogniser`] and [`Evaluation::of`].
    pub async fn evaluate(
        &self,
        model: &ModelId,
        set: &Dataset,
        progress: impl FnMut(DatasetProgress),
    ) -> Result<Evaluation, WorkspaceError> {
        Evaluation::of(&self.recogniser(model).await?, set, progress).await
    }
}
