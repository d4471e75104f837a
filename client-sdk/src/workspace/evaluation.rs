//! Testing a model on a data set.

use std::time::Instant;

use serde::Serialize;
use sphinx_data::Dataset;
use sphinx_network::Plan;

use crate::ModelId;
use crate::error::ClientError;
use crate::recognition::{DatasetProgress, Recogniser};
use crate::workspace::{Confusion, Workspace, WorkspaceError};

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
    /// Images by class.
    #[serde(flatten)]
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
    /// [`WorkspaceError::Classes`] if the network tells another number of classes apart; others as
    /// [`Recogniser::classify_dataset`].
    pub async fn of(
        recogniser: &Recogniser,
        set: &Dataset,
        progress: impl FnMut(DatasetProgress),
    ) -> Result<Self, WorkspaceError> {
        let started = Instant::now();
        let plan = Plan::new(recogniser.network()).map_err(ClientError::from)?;
        let (got, expected) = (plan.classes, set.classes().len());
        if got != expected {
            return Err(WorkspaceError::Classes { got, expected });
        }
        let mut rng = crate::secure_rng();
        let done = recogniser.classify_dataset(set, &mut rng, progress).await?;
        let mut confusion = Confusion::new(set.classes().clone());
        for (label, prediction) in set.labels().iter().zip(&done.predictions) {
            confusion.add(usize::from(*label), prediction.class, 1);
        }
        Ok(Self {
            model: recogniser.model_id().to_string(),
            version: recogniser.version(),
            images: set.len() as u64,
            accuracy: confusion.recognised() as f64 / set.len().max(1) as f64,
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
