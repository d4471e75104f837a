//! Testing a model on a data set.

use std::ops::Range;
use std::time::Instant;

use serde::Serialize;
use sphinx_data::Dataset;
use sphinx_network::{NetworkSpec, Plan};

use crate::ModelId;
use crate::error::ClientError;
use crate::one_shot::{Batches, OneShot};
use crate::recognition::{DatasetPredictions, DatasetProgress, Prediction, Recogniser};
use crate::traffic::Traffic;
use crate::workspace::{Calibration, Confusion, Metrics, Workspace, WorkspaceError};

/// Mistakes that are kept, the most confident first.
const MISTAKES: usize = 48;
/// Images in one shot between two reports of progress.
const ONE_SHOTS: usize = 64;

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
    /// The answers, in the order of the images; not in JSON.
    #[serde(skip)]
    pub answers: Vec<Prediction>,
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
        check_classes(recogniser.network(), set)?;
        let mut rng = crate::secure_rng();
        let done = recogniser.classify_dataset(set, &mut rng, progress).await?;
        let (model, version) = (recogniser.model_id(), recogniser.version());
        let DatasetPredictions { predictions, preparing, recognising } = done;
        let mut evaluation = Self::judge((model, version), set, predictions, reject);
        evaluation.seconds = started.elapsed().as_secs_f64();
        (evaluation.preparing_bytes_up, evaluation.preparing_bytes_down) =
            (preparing.up, preparing.down);
        evaluation.recognised(recognising);
        Ok(evaluation)
    }

    /// As [`Evaluation::rejecting`], in one shot: image by image, a few of them under way at once.
    ///
    /// # Errors
    /// As [`OneShot::infer_many`], and [`WorkspaceError::Classes`].
    pub async fn one_shot(
        one_shot: &OneShot,
        set: &Dataset,
        reject: Option<f32>,
        mut progress: impl FnMut(DatasetProgress),
    ) -> Result<Self, WorkspaceError> {
        let started = Instant::now();
        check_classes(one_shot.network(), set)?;
        let (mut rng, mut predictions) = (crate::secure_rng(), Vec::with_capacity(set.len()));
        for first in (0..set.len()).step_by(ONE_SHOTS) {
            let images = pixels(set, first..set.len().min(first + ONE_SHOTS));
            predictions.extend(one_shot.infer_many(&images, &mut rng).await?);
            let (prepared, recognised, total) = (predictions.len(), predictions.len(), set.len());
            progress(DatasetProgress { prepared, recognised, total });
        }
        let model = (one_shot.model_id(), one_shot.version());
        let mut evaluation = Self::judge(model, set, predictions, reject);
        evaluation.seconds = started.elapsed().as_secs_f64();
        evaluation.recognised(one_shot.traffic());
        Ok(evaluation)
    }

    /// As [`Evaluation::rejecting`], in whole batches.
    ///
    /// # Errors
    /// As [`Batches::infer`], and [`WorkspaceError::Classes`].
    pub async fn batches(
        batches: &Batches,
        set: &Dataset,
        reject: Option<f32>,
        mut progress: impl FnMut(DatasetProgress),
    ) -> Result<Self, WorkspaceError> {
        let started = Instant::now();
        check_classes(batches.network(), set)?;
        let mut predictions = Vec::with_capacity(set.len());
        let step = batches.images_per_request();
        for first in (0..set.len()).step_by(step) {
            let images = pixels(set, first..set.len().min(first + step));
            predictions.extend(batches.infer(&images).await?);
            let (prepared, recognised, total) = (predictions.len(), predictions.len(), set.len());
            progress(DatasetProgress { prepared, recognised, total });
        }
        let model = (batches.model_id(), batches.version());
        let mut evaluation = Self::judge(model, set, predictions, reject);
        evaluation.seconds = started.elapsed().as_secs_f64();
        evaluation.recognised(batches.traffic());
        Ok(evaluation)
    }

    /// What answers of this version can be corrected by, given the classes of the images; `None`
    /// for too few images. Blocks.
    pub fn calibration(&self, labels: &[u8]) -> Option<Calibration> {
        Calibration::new(self.version, labels, &self.answers)
    }

    fn recognised(&mut self, traffic: Traffic) {
        (self.recognising_bytes_up, self.recognising_bytes_down) = (traffic.up, traffic.down);
    }

    /// What answers are worth; time and bytes are still nothing.
    fn judge(
        (model, version): (&ModelId, u64),
        set: &Dataset,
        answers: Vec<Prediction>,
        reject: Option<f32>,
    ) -> Self {
        let predictions = answers.as_slice();
        let mut confusion = Confusion::new(set.classes().clone());
        for (label, prediction) in set.labels().iter().zip(predictions) {
            confusion.add(usize::from(*label), prediction.class, 1);
        }
        let numbered = set.labels().iter().zip(predictions).enumerate();
        let wrong = numbered.filter(|(_, (label, answer))| answer.class != usize::from(**label));
        let mut mistakes: Vec<Mistake> = wrong
            .map(|(image, (_, answer))| {
                let (predicted, probability) = (answer.class, answer.probability());
                Mistake { image, predicted, probability }
            })
            .collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes.truncate(MISTAKES);
        let metrics = Metrics::new(&confusion, set.labels(), predictions, reject);
        Self {
            model: model.to_string(),
            version,
            images: set.len() as u64,
            accuracy: confusion.recognised() as f64 / set.len().max(1) as f64,
            confusion,
            metrics,
            mistakes,
            answers,
            seconds: 0.0,
            preparing_bytes_up: 0,
            preparing_bytes_down: 0,
            recognising_bytes_up: 0,
            recognising_bytes_down: 0,
        }
    }
}

fn check_classes(network: &NetworkSpec, set: &Dataset) -> Result<(), WorkspaceError> {
    let plan = Plan::new(network).map_err(ClientError::from)?;
    let (got, expected) = (plan.classes, set.classes().len());
    if got == expected { Ok(()) } else { Err(WorkspaceError::Classes { got, expected }) }
}

fn pixels(set: &Dataset, range: Range<usize>) -> Vec<Vec<f32>> {
    range.filter_map(|index| set.pixels(index)).collect()
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
