//! What a model has spent.

use serde::Serialize;
use sphinx_privacy::ledger::Ledger;
use sphinx_privacy::{Epsilon, Target};
use sphinx_proto::{ModelId, TenantId};

use crate::error::ClientError;
use crate::workspace::{Home, WorkspaceError};

/// The state of a model's ledger.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerStatus {
    /// The model.
    pub model: String,
    /// Images, or persons, that it may be trained on.
    pub examples: u64,
    /// Steps that were recorded.
    pub steps: u64,
    /// What they spent; `None` where nothing is proven.
    #[serde(skip)]
    pub spent: Option<Epsilon>,
    /// The proven ε of it.
    pub epsilon: Option<f64>,
    /// δ that it is stated at.
    pub delta: f64,
    /// ε that the model was last trained within.
    pub budget: Option<f64>,
    /// An update is recorded whose arrival was not confirmed; the next training sends it again.
    pub unconfirmed: bool,
}

impl Home {
    /// What a model has spent, by its ledger.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`crate::TrainingError::Ledger`] if the ledger is missing,
    /// damaged, or in use by a training.
    pub fn ledger_status(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<LedgerStatus, WorkspaceError> {
        let path = self.ledger(tenant, model);
        let ledger = Ledger::open_model(&path, model.as_str()).map_err(ClientError::from)?;
        let delta = ledger.binding().delta;
        let spent = ledger.spent(delta).ok();
        Ok(LedgerStatus {
            model: model.to_string(),
            examples: ledger.binding().examples,
            steps: ledger.runs().iter().map(|run| run.steps).sum(),
            spent,
            epsilon: spent.map(|spent| spent.proven()),
            delta: delta.get(),
            budget: ledger.target().map(Target::epsilon),
            unconfirmed: ledger.pending().is_some(),
        })
    }
}
