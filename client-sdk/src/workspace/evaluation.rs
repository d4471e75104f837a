//! Testing a model on a data set.

use std::time::Instant;

use serde::Serialize;
use sphinx_data::Dataset;
use sphinx_network::Plan;

use crate::ModelId;
use crate::error::ClientError;
use crate::recognition::{DatasetProgress, Recogniser};
use crate::workspace::{Confusion, Metrics, Workspace, WorkspaceError};

/// Mistakes that are kept, the most confident first.
const MISTAKES: usize = 48;

/// An image that was taken for what it is not. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq)]
pub struct Mistake {
    /// Number of the image in the data set.
    pub image: usize,
    /// What it was taken for.
    pub predicted: usize,
    /// With what probability.
    pub probability: f32,
}

impl std::fmt::Debug for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mistake(..)")
    }
}

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
    /// Other figures of the answers.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The worst mistakes, the most confident first; not in JSON.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
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
        Self::rejecting(recogniser, set, None, progress).await
    }

    /// As [`Evaluation::of`]; answers with a probability below `reject` count as unsure.
    ///
    /// # Errors
    /// As [`Evaluation::of`].
    pub async fn rejecting(
        recogniser: &Recogniser,
        set: &Dataset,
        reject: Option<f32>,
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
        let answers = set.labels().iter().zip(&done.predictions).enumerate();
        let wrong = answers.filter(|(_, (label, answer))| answer.class != usize::from(**label));
        let mut mistakes: Vec<Mistake> = wrong
            .map(|(image, (_, answer))| {
                let (predicted, probability) = (answer.class, answer.probability());
                Mistake { image, predicted, probability }
            })
            .collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes.truncate(MISTAKES);
        let metrics = Metrics::new(&confusion, set.labels(), &done.predictions, reject);
        Ok(Self {
            model: recogniser.model_id().to_string(),
            version: recogniser.version(),
            images: set.len() as u64,
            accuracy: confusion.recognised() as f64 / set.len().max(1) as f64,
            confusion,
            metrics,
            mistakes,
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
