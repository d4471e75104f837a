//! Models with their ledgers: found, made, deleted.

use std::path::PathBuf;

use sphinx_data::Pipeline;
use sphinx_network::NetworkSpec;
use sphinx_privacy::ledger::{Ledger, PrivacyUnit};
use sphinx_privacy::{Delta, Target};
use sphinx_proto::{KeyId, ModelId};

use crate::error::ClientError;
use crate::training::ModelMirror;
use crate::workspace::{Workspace, WorkspaceError};

/// What a model is expected to be, where the user said so.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskedModel<'a> {
    /// Its network.
    pub network: Option<&'a NetworkSpec>,
    /// The key it was made with.
    pub key: Option<&'a KeyId>,
    /// δ to train it at; absent for its ledger's.
    pub delta: Option<Delta>,
}

/// A model to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewModel<'a> {
    /// Its network.
    pub network: &'a NetworkSpec,
    /// Its key.
    pub key: &'a KeyId,
    /// Seed of the initial weights, which are public.
    pub seed: u64,
    /// What its privacy protects, and how many of them the data set has.
    pub units: (PrivacyUnit, usize),
    /// δ that its privacy is stated at.
    pub delta: Delta,
    /// What pictures become before the network gets them; absent for what [`Workspace::pipeline`]
    /// says of a model without one.
    pub pipeline: Option<&'a Pipeline>,
}

/// A model that can be trained: it has a key and a ledger here.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainableModel {
    /// The model.
    pub model_id: ModelId,
    /// The key it was made with.
    pub key_id: KeyId,
    /// Where its privacy ledger is.
    pub ledger: PathBuf,
    /// δ to train it at.
    pub delta: Delta,
    /// ε that it was last trained within; `None` if it never was, or without one.
    pub budget: Option<f64>,
    /// Its network.
    pub network: NetworkSpec,
    /// What pictures become before the network gets them.
    pub pipeline: Pipeline,
}

impl Workspace {
    /// The model of that name, ready to be trained further; `None` if there is none.
    ///
    /// # Errors
    /// [`WorkspaceError::OtherModel`] if it is not the one asked for; [`WorkspaceError::Client`]
    /// with [`crate::TrainingError::Ledger`] if its ledger is missing or damaged: it must not be
    /// trained then.
    pub async fn find_model(
        &self,
        model_id: &ModelId,
        asked: AskedModel<'_>,
    ) -> Result<Option<TrainableModel>, WorkspaceError> {
        let model = match self.client.model(model_id).await {
            Ok(model) => model,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let other = |what, got: &str, expected: &str| WorkspaceError::OtherModel {
            model: model_id.to_string(),
            what,
            got: got.to_owned(),
            expected: expected.to_owned(),
        };
        let (got, key_id) = (model.network, model.key_id);
        if let Some(expected) = asked.network.filter(|network| **network != got) {
            return Err(other("network", &got.name, &expected.name));
        }
        if let Some(expected) = asked.key.filter(|key| **key != key_id) {
            return Err(other("key", key_id.as_str(), expected.as_str()));
        }
        let ledger = self.home.ledger(&self.tenant, model_id);
        let kept = Ledger::open_model(&ledger, model_id.as_str()).map_err(ClientError::from)?;
        let delta = asked.delta.unwrap_or(kept.binding().delta);
        let budget = kept.target().map(Target::epsilon);
        let sealed = self.sealed_pipeline(model_id, &key_id).await?;
        let pipeline = self.pipeline(model_id, &got, sealed.as_ref())?;
        let (model_id, network) = (model_id.clone(), got);
        Ok(Some(TrainableModel { model_id, key_id, ledger, delta, budget, network, pipeline }))
    }

    /// Makes a model with its ledger.
    ///
    /// # Errors
    /// As [`Workspace::check_registration`]; [`WorkspaceError::Client`] with
    /// [`crate::TrainingError::Ledger`] if a ledger of that name is left of another model, with
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) if the trainer refuses.
    pub async fn create_model(
        &self,
        model_id: &ModelId,
        new: NewModel<'_>,
    ) -> Result<TrainableModel, WorkspaceError> {
        self.check_registration(new.key).await?;
        let ledger = self.home.ledger(&self.tenant, model_id);
        // The ledger first: a model without one could never be trained.
        self.home.create_ledger(&ledger, model_id, new.units, new.delta)?;
        if let Some(pipeline) = new.pipeline {
            self.home.keep_pipeline(&self.tenant, model_id, pipeline)?;
        }
        self.client.create_model(model_id, new.key, new.network, new.seed).await?;
        let (model_id, key_id) = (model_id.clone(), new.key.clone());
        let network = new.network.clone();
        let pipeline = self.pipeline(&model_id, &network, new.pipeline)?;
        let (delta, budget) = (new.delta, None);
        Ok(TrainableModel { model_id, key_id, ledger, delta, budget, network, pipeline })
    }

    /// Brings the newest version of a model home and checks it against what its owner sealed and
    /// this home has seen; returns the version and h of it, which every later version hashes.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here; [`WorkspaceError::Client`]
    /// with [`crate::StateError`] if the version is not what its owner left.
    pub async fn verify(&self, model_id: &ModelId) -> Result<(u64, [u8; 32]), WorkspaceError> {
        let key_id = self.client.model(model_id).await?.key_id;
        let root = self.home.root(&key_id)?;
        let mirror = Box::pin(ModelMirror::fetch(&self.client, &root, model_id)).await?;
        Ok((mirror.version, mirror.chain))
    }

    /// The pipeline sealed with the model's newest version; `None` if this machine cannot open it.
    async fn sealed_pipeline(
        &self,
        model_id: &ModelId,
        key: &KeyId,
    ) -> Result<Option<Pipeline>, WorkspaceError> {
        if self.home.pipeline(&self.tenant, model_id)?.is_some()
            || !self.home.key_path(key).exists()
        {
            return Ok(None);
        }
        let root = self.home.root(key)?;
        Ok(Box::pin(ModelMirror::fetch(&self.client, &root, model_id)).await?.state.pipeline)
    }

    /// Deletes a model with all its versions and puts its ledger aside: what the model told about
    /// the data is not undone. Returns where the ledger is kept, if there was one.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`ChannelError::Refused`](crate::ChannelError::Refused) if
    /// there is no such model, with [`crate::TrainingError::Data`] if it cannot be noted for its
    /// data set; [`WorkspaceError::File`].
    pub async fn delete_model(
        &self,
        model_id: &ModelId,
    ) -> Result<Option<PathBuf>, WorkspaceError> {
        // Where it cannot be noted, nothing is deleted.
        drop(self.home.data_account(&self.tenant).open()?);
        self.client.delete_model(model_id).await?;
        self.home.forget_pipeline(&self.tenant, model_id)?;
        self.home.forget_calibration(&self.tenant, model_id)?;
        self.retire_training(model_id)?;
        self.home.retire_ledger(&self.tenant, model_id)
    }
}
