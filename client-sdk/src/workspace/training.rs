//! Training with the key and the ledger that belong to a model.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use sphinx_data::Dataset;

use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::training::{Progress, Protocol, TrainingOptions, TrainingRequest, TrainingSummary};
use crate::workspace::history::History;
use crate::workspace::{EpochReport, TrainableModel, Workspace, WorkspaceError};

/// A training that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// What it came to.
    pub summary: TrainingSummary,
    /// Passes over the data, in expectation.
    pub epochs: f64,
    /// One entry per epoch, the last possibly of a part.
    pub history: Vec<EpochReport>,
    /// Images trained on, with repetition.
    pub images: u64,
}

/// Trains as [`SphinxClient::train_model`] does and keeps what every epoch came to.
///
/// # Errors
/// As [`SphinxClient::train_model`].
pub async fn train_with_history(
    client: &SphinxClient,
    request: TrainingRequest,
    mut progress: impl FnMut(&Progress) -> bool + Send + 'static,
) -> Result<Trained, ClientError> {
    let history = Arc::new(Mutex::new(History::default()));
    let noted = Arc::clone(&history);
    let note = move |step: &Progress| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).add(step);
        progress(step)
    };
    let summary = client.train_model(request, note).await?;
    let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
    let History { epochs, epoch, images } = std::mem::take(&mut *history);
    Ok(Trained { summary, epochs: epoch, history: epochs, images })
}

impl Workspace {
    /// What to train and on what, with the key and the ledger that belong to the model.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here; [`WorkspaceError::Client`] if
    /// its file is unusable, with [`crate::MemoryError::Suspect`] if the model is marked.
    pub fn training_request(
        &self,
        model: &TrainableModel,
        data: Arc<Dataset>,
        options: TrainingOptions,
    ) -> Result<TrainingRequest, WorkspaceError> {
        let memory = self.home.memory(&self.tenant);
        memory.admit(&model.model_id).map_err(ClientError::from)?;
        memory.admit_key(&model.key_id).map_err(ClientError::from)?;
        Ok(TrainingRequest {
            model_id: model.model_id.clone(),
            key_id: model.key_id.clone(),
            key: Arc::new(self.home.root(&model.key_id)?),
            data,
            options,
            ledger: model.ledger.clone(),
            delta: model.delta,
            seed: None,
            protocol: Protocol::default(),
            shards: NonZeroUsize::MIN,
            pipeline: Some(model.pipeline.clone()),
            memory,
            account: Some(self.home.data_account(&self.tenant)),
        })
    }

    /// Trains a model and reports after every step; a `false` from `progress` ends the training
    /// after that step.
    ///
    /// # Errors
    /// As [`Workspace::training_request`] and [`SphinxClient::train_model`].
    pub async fn train(
        &self,
        model: &TrainableModel,
        data: Arc<Dataset>,
        options: TrainingOptions,
        progress: impl FnMut(&Progress) -> bool + Send + 'static,
    ) -> Result<Trained, WorkspaceError> {
        let request = self.training_request(model, data, options)?;
        Ok(train_with_history(&self.client, request, progress).await?)
    }
}
