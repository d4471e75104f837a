//! What models have spent of the data sets of this home.

use sphinx_data::Dataset;
use sphinx_privacy::data::DataStatus;
use sphinx_privacy::ledger::Ledger;
use sphinx_privacy::{Delta, Target};
use sphinx_proto::ModelId;

use crate::error::ClientError;
use crate::training::account;
use crate::workspace::{Home, Workspace, WorkspaceError};

impl Home {
    /// Every data set that something was trained on here, or that was made known. ε is stated at
    /// `delta` where there is no cap.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`crate::TrainingError::Data`].
    pub fn data_sets(&self, delta: Delta) -> Result<Vec<DataStatus>, WorkspaceError> {
        let mut ledger = self.any_account().open()?;
        Ok(ledger.list(delta).map_err(ClientError::from)?)
    }

    /// Makes a data set known by a name before anything is trained on it.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`crate::TrainingError::Data`] if another set has that name.
    pub fn register_data(&self, name: &str, data: &Dataset) -> Result<(), WorkspaceError> {
        let mut ledger = self.any_account().open()?;
        let units = account::units(&ledger, (data, None));
        ledger.register(Some(name), units).map_err(ClientError::from)?;
        Ok(())
    }

    /// Sets the cap of a data set, which all trainings on its images keep, or takes it away.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`crate::TrainingError::Data`]: there is no such set, or
    /// more is spent.
    pub fn cap_data(&self, name: &str, cap: Option<Target>) -> Result<(), WorkspaceError> {
        Ok(self.any_account().open()?.cap(name, cap).map_err(ClientError::from)?)
    }

    /// Declares the images of a data set as public, so that they spend nothing, or takes it back.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`crate::TrainingError::Data`]: there is no such set, or a
    /// cap would be exceeded.
    pub fn publish_data(&self, name: &str, public: bool) -> Result<(), WorkspaceError> {
        Ok(self.any_account().open()?.publish(name, public).map_err(ClientError::from)?)
    }

    fn any_account(&self) -> account::DataAccount {
        self.data_account(&sphinx_proto::TenantId::default())
    }
}

impl Workspace {
    /// Notes that a model is no more, so that its name is free for another.
    pub(super) fn retire_training(&self, model: &ModelId) -> Result<(), WorkspaceError> {
        let path = self.home.ledger(&self.tenant, model);
        let mut account = self.home.data_account(&self.tenant).open()?;
        let ledger = Ledger::open_model(&path, model.as_str()).ok();
        let retired = account.retire(self.tenant.as_str(), model.as_str(), ledger.as_ref());
        Ok(retired.map_err(ClientError::from)?)
    }
}
