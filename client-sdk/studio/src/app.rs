//! What the pages share.

use std::collections::HashMap;
use std::sync::Arc;

use sphinx_client::one_shot::OneShot;
use sphinx_client::tickets::{SupplyOptions, TicketSupply};
use sphinx_client::workspace::Workspace;
use sphinx_client::{ModelId, OneShotProfile, Witness};
use tokio::sync::Mutex;

use crate::error::StudioError;
use crate::record::Record;
use crate::runs::Runs;
use crate::sets::Sets;

/// Everything behind the pages.
pub struct App {
    pub workspace: Workspace,
    pub record: Arc<Record>,
    pub sets: Arc<Sets>,
    pub runs: Runs,
    supplies: Mutex<HashMap<ModelId, Arc<TicketSupply>>>,
}

impl App {
    pub fn new(workspace: Workspace) -> Self {
        let record = Arc::new(Record::default());
        let witness = Arc::clone(&record);
        let workspace = workspace.with_witness(&Witness::new(move |sight| witness.see(sight)));
        Self {
            workspace,
            record,
            sets: Arc::default(),
            runs: Runs::default(),
            supplies: Mutex::default(),
        }
    }

    /// Tickets of a model; opened once and kept, so that an answer needs the online rounds alone.
    pub async fn supply(&self, model: &ModelId) -> Result<Arc<TicketSupply>, StudioError> {
        let mut supplies = self.supplies.lock().await;
        if let Some(supply) = supplies.get(model) {
            return Ok(Arc::clone(supply));
        }
        let options = SupplyOptions::default();
        let supply = Box::pin(self.workspace.ticket_supply(model, options)).await?;
        let supply = Arc::new(supply);
        supplies.insert(model.clone(), Arc::clone(&supply));
        Ok(supply)
    }

    /// One-shot recognition with a model. Evaluation keys are made and registered where there are
    /// none.
    pub async fn one_shot(&self, model: &ModelId) -> Result<OneShot, StudioError> {
        let key = self.workspace.client().key_of_model(model).await?;
        if self.workspace.home().evaluation_keys(&key)?.is_none() {
            let (workspace, key) = (self.workspace.clone(), key.clone());
            // Those for networks with activations do for linear ones too.
            let make = move || workspace.make_evaluation_keys(&key, OneShotProfile::Standard);
            tokio::task::spawn_blocking(make).await??;
        }
        self.workspace.register_evaluation_keys(&key, "made by the studio").await?;
        Ok(Box::pin(self.workspace.one_shot(model)).await?)
    }
}
