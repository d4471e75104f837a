//! Inference with the key that a model was made with.

use std::sync::Arc;

use crate::ModelId;
use crate::error::ClientError;
use crate::one_shot::{Batches, OneShot};
use crate::recognition::Recogniser;
use crate::tickets::{SupplyOptions, TicketStore, TicketSupply};
use crate::workspace::{Workspace, WorkspaceError};

impl Workspace {
    /// A recogniser with the newest version of a model.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here; others as
    /// [`Recogniser::remembering`].
    pub async fn recogniser(&self, model_id: &ModelId) -> Result<Recogniser, WorkspaceError> {
        let memory = self.home.memory(&self.tenant);
        memory.admit(model_id).map_err(ClientError::from)?;
        let (key_id, read_key) = self.keys_of(model_id).await?;
        memory.admit_key(&key_id).map_err(ClientError::from)?;
        let read_key = Arc::new(read_key);
        Ok(Recogniser::remembering(&self.client, read_key, memory).await?)
    }

    /// A supply of tickets from the home's store for a model; tickets of the version before are
    /// brought up to date first.
    ///
    /// # Errors
    /// As [`Workspace::recogniser`]; [`crate::ClientError::TicketStore`] if the store cannot be
    /// used.
    pub async fn ticket_supply(
        &self,
        model_id: &ModelId,
        options: SupplyOptions,
    ) -> Result<TicketSupply, WorkspaceError> {
        let recogniser = self.recogniser(model_id).await?;
        let store = Arc::new(self.ticket_store(&recogniser)?);
        recogniser.repair_stored(&store).await?;
        Ok(TicketSupply::start(recogniser, store, options))
    }

    /// The home's store of a model's tickets.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here;
    /// [`crate::ClientError::TicketStore`] if the store cannot be used.
    pub fn ticket_store(&self, recogniser: &Recogniser) -> Result<TicketStore, WorkspaceError> {
        let (model, key) = (recogniser.model_id(), recogniser.key_id());
        let directory = self.home.tickets(&self.tenant, model, key);
        let key = self.home.ticket_key(&self.tenant, model, key)?;
        Ok(recogniser.ticket_store(&directory, &self.tenant, &key)?)
    }

    /// Whole batches in one shot with the newest version of a model whose network is linear.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here; others as
    /// [`Batches::remembering`].
    pub async fn batches(&self, model_id: &ModelId) -> Result<Batches, WorkspaceError> {
        let memory = self.home.memory(&self.tenant);
        memory.admit(model_id).map_err(ClientError::from)?;
        let (key_id, read_key) = self.keys_of(model_id).await?;
        memory.admit_key(&key_id).map_err(ClientError::from)?;
        Ok(Batches::remembering(&self.client, Arc::new(read_key), memory).await?)
    }

    /// One-shot inference with the newest version of a model, under the evaluation keys of this
    /// machine, if they are here.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the model's key is not here; others as
    /// [`OneShot::remembering`].
    pub async fn one_shot(&self, model_id: &ModelId) -> Result<OneShot, WorkspaceError> {
        let memory = self.home.memory(&self.tenant);
        memory.admit(model_id).map_err(ClientError::from)?;
        let (key_id, read_key) = self.keys_of(model_id).await?;
        memory.admit_key(&key_id).map_err(ClientError::from)?;
        let (key, read_key) = (Arc::new(self.home.key(&key_id)?), Arc::new(read_key));
        let one_shot = OneShot::remembering(&self.client, key, read_key, memory).await?;
        Ok(match self.home.evaluation_fingerprint(&key_id)? {
            Some(fingerprint) => one_shot.expecting(fingerprint.to_string()),
            None => one_shot,
        })
    }
}
