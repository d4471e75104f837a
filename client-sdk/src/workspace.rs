//! What a user keeps on a machine, and the order of doing things that keeps a model trainable and
//! its privacy accounted for.
//!
//! [`SphinxClient`] does what it is told with the key and the ledger that it is given. A
//! [`Workspace`] chooses them: it makes the ledger before the model, refuses a key that is not the
//! registered one, takes the key that a model was made with, and puts the ledger of a deleted model
//! aside. Programs that train models for people use it.

mod backup;
mod calibration;
mod confusion;
mod data;
mod error;
mod estimate;
mod evaluation;
mod history;
mod home;
mod inference;
mod job;
mod kept;
mod keys;
mod ledger;
mod metrics;
mod models;
mod order;
mod pipelines;
mod rotation;
mod training;

use std::path::PathBuf;

pub use backup::BackupReport;
pub use calibration::Calibration;
pub use confusion::Confusion;
pub use error::WorkspaceError;
pub use estimate::Estimate;
pub use evaluation::{Evaluation, Mistake};
pub use history::EpochReport;
pub use home::{Home, Passphrases, write_new};
pub use job::{TrainingJob, Watcher};
pub use ledger::LedgerStatus;
pub use metrics::{ClassMetrics, Metrics, Rejection};
pub use models::{AskedModel, NewModel, TrainableModel};
pub use order::{Order, OrderedNetwork, Ready, automatic_network};
pub use rotation::RotatedKey;
pub use training::{Trained, train_with_history};

use crate::TenantId;
use crate::client::{Endpoints, SphinxClient};
use crate::error::ClientError;
use crate::witness::Witness;

/// A user's keys, ledgers and tickets, and the services that they are used with.
///
/// ```no_run
/// use sphinx_client::Endpoints;
/// use sphinx_client::workspace::Workspace;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let workspace = Workspace::open(&Endpoints::default(), "/home/me/.local/share/sphinx".into())?;
/// let key = workspace.choose_key(None)?;
/// workspace.check_registration(&key).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Workspace {
    client: SphinxClient,
    tenant: TenantId,
    home: Home,
}

impl Workspace {
    /// The home at `root`, which need not exist yet, with the services at `endpoints`.
    ///
    /// # Errors
    /// [`ChannelError::Address`](crate::ChannelError::Address) for an address that is not a URL.
    pub fn open(endpoints: &Endpoints, root: PathBuf) -> Result<Self, ClientError> {
        let client = SphinxClient::new(endpoints)?;
        Ok(Self { client, tenant: endpoints.tenant.clone(), home: Home::new(root) })
    }

    /// Asks `passphrases` whenever a sealed key is used.
    pub fn with_passphrases(self, passphrases: Passphrases) -> Self {
        Self { home: self.home.with_passphrases(passphrases), ..self }
    }

    /// Shows a witness what leaves for training and recognition.
    pub fn with_witness(self, witness: &Witness) -> Self {
        Self { client: self.client.witnessed(witness), ..self }
    }

    /// The client of the services.
    pub fn client(&self) -> &SphinxClient {
        &self.client
    }

    /// Whose keys and models are meant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The directory of keys, ledgers and tickets.
    pub fn home(&self) -> &Home {
        &self.home
    }
}
