//! A model under another key, without training it again.

use sphinx_privacy::ledger::Ledger;
use sphinx_proto::{KeyId, ModelId};

use crate::error::{ClientError, TrainingError};
use crate::training::{ModelLedger, ModelMirror};
use crate::workspace::{Workspace, WorkspaceError};

/// What became of a model's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedKey {
    /// The key before.
    pub from: KeyId,
    /// The model's key now.
    pub to: KeyId,
    /// The first version under it.
    pub version: u64,
    /// Models of the tenant that are still under the old key.
    pub left: Vec<ModelId>,
}

impl Workspace {
    /// Gives a model another key: its newest version is brought home and verified under the old
    /// one, its biases and the state of its training are sealed anew, and the next version, with
    /// the same weights, is under the new key. The ledger notes it and is charged nothing. Repeated
    /// after an interruption it goes on from there.
    ///
    /// Whoever holds a read key of the model needs the new one. The old key stays registered:
    /// revoke it once no model is under it any more.
    ///
    /// # Errors
    /// As [`Workspace::check_registration`] for the new key, [`WorkspaceError::NoSecret`] for the
    /// old one; [`WorkspaceError::Client`] with [`TrainingError::UpdateOnItsWay`] if a training has
    /// an update that is not confirmed, with [`crate::StateError`] if the model is not what was
    /// left.
    pub async fn rotate_key(
        &self,
        model_id: &ModelId,
        to: &KeyId,
    ) -> Result<RotatedKey, WorkspaceError> {
        let memory = self.home.memory(&self.tenant);
        memory.admit(model_id).map_err(ClientError::from)?;
        self.check_registration(to).await?;
        let from = self.client.model(model_id).await?.key_id;
        memory.admit_key(&from).map_err(ClientError::from)?;
        let path = self.home.ledger(&self.tenant, model_id);
        let ledger = Ledger::open_model(&path, model_id.as_str()).map_err(ClientError::from)?;
        let mut ledger = ModelLedger::of(ledger)?;
        if ledger.unconfirmed()?.is_some() {
            let model = model_id.to_string();
            return Err(ClientError::from(TrainingError::UpdateOnItsWay { model }).into());
        }
        let old = self.home.root(&from)?;
        let mirror = Box::pin(ModelMirror::fetch(&self.client, &old, model_id)).await?;
        let incarnation = mirror.incarnation;
        let version = if from == *to {
            // Done before, all but the note in the ledger.
            if ledger.check_version(mirror.version, mirror.chain).is_err() {
                let base = mirror.version.saturating_sub(1);
                ledger.check_version(base, mirror.previous)?;
                ledger.note_rotation(to, base, mirror.chain)?;
            }
            mirror.version
        } else {
            ledger.check_version(mirror.version, mirror.chain)?;
            let rotated = mirror.rotate(&self.client, to, &self.home.root(to)?).await?;
            ledger.note_rotation(to, mirror.version, rotated.chain)?;
            rotated.version
        };
        memory.see(model_id, &incarnation, version)?;
        let models = self.client.list_models().await?.into_iter();
        let left = models.filter(|model| model.key_id == from && from != *to);
        let left = left.map(|model| model.model_id).collect();
        Ok(RotatedKey { from, to: to.clone(), version, left })
    }
}
