//! What can go wrong between the SDK and the services.

mod augmentation;
mod recognition;

use sphinx_channel::{ChannelError, Verdict};
use sphinx_proto::ConversionError;

pub use augmentation::AugmentationError;
pub use recognition::RecognitionError;

/// Why an operation of the SDK failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A service cannot be reached, refused, or broke the protocol.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A name or an id is malformed.
    #[error(transparent)]
    Name(#[from] ConversionError),
    /// The network description is wrong.
    #[error(transparent)]
    Spec(#[from] sphinx_network::SpecError),
    /// The secret key is unusable.
    #[error(transparent)]
    Key(#[from] sphinx_secret::KeyError),
    /// The key file is unusable.
    #[error(transparent)]
    KeyFile(#[from] sphinx_secret::KeyFileError),
    /// The secret key is not the one that was registered.
    #[error("the secret key does not belong to key {key_id}: it was made for another registration")]
    WrongKey {
        /// The key id.
        key_id: String,
    },
    /// Result ciphertexts have the wrong size.
    #[error(transparent)]
    Decrypt(#[from] sphinx_secret::DecryptError),
    /// A query or an answer of a one-shot recognition is unusable.
    #[error(transparent)]
    OneShot(#[from] sphinx_secret::OneShotError),
    /// No query of a one-shot recognition holds the network's input.
    #[error(transparent)]
    QueryLayout(#[from] sphinx_evaluation_keys::LayoutError),
    /// Evaluation keys cannot be made or read.
    #[error(transparent)]
    EvaluationKeys(#[from] sphinx_evaluation_keys::EvaluationKeyError),
    /// The data set is unusable.
    #[error(transparent)]
    Data(#[from] sphinx_data::DatasetError),
    /// The network's public features cannot be computed.
    #[error(transparent)]
    Features(#[from] sphinx_features::FeatureError),
    /// Copies of examples that cannot be made or placed.
    #[error(transparent)]
    Augmentation(#[from] AugmentationError),
    /// The client's half of a training step failed.
    #[error(transparent)]
    Pass(#[from] sphinx_gradient::PassError),
    /// A tensor has the wrong shape.
    #[error(transparent)]
    Tensor(#[from] sphinx_gradient::TensorError),
    /// A linear product was asked for that the network does not have.
    #[error(
        "stage {stage} with {rows} rows of {slots} slots is none of the network's {stages} stages with blocks of {expected}"
    )]
    NoProduct {
        /// The stage asked for.
        stage: usize,
        /// Rows of the tensor.
        rows: usize,
        /// Slots of the tensor.
        slots: usize,
        /// Stages of the network.
        stages: usize,
        /// Slots of a block.
        expected: usize,
    },
    /// A layer in the clear got the wrong parameters or tensor.
    #[error(transparent)]
    Clear(#[from] sphinx_gradient::ClearError),
    /// Hyper-parameters outside their domains, or a step that diverged.
    #[error(transparent)]
    Optimizer(#[from] sphinx_optimizer::OptimizerError),
    /// The privacy budget cannot be met as planned.
    #[error(transparent)]
    PrivacyPlan(#[from] sphinx_privacy::PlanError),
    /// The noise cannot be added.
    #[error(transparent)]
    Mechanism(#[from] sphinx_privacy::MechanismError),
    /// ε cannot be computed.
    #[error(transparent)]
    Accounting(#[from] sphinx_privacy::AccountingError),
    /// The privacy ledger forbids to go on.
    #[error(transparent)]
    Ledger(#[from] sphinx_privacy::ledger::LedgerError),
    /// The ledger's pending update names no session.
    #[error("the privacy ledger's pending update names the session {got:?}, expected hex/step")]
    LedgerSession {
        /// What it names.
        got: String,
    },
    /// The ledger is for one δ, the target for another.
    #[error(
        "the privacy ledger is for delta {ledger:e}, the budget is stated at {target:e}: give both the same"
    )]
    OtherDelta {
        /// Of the ledger.
        ledger: f64,
        /// Of the target.
        target: f64,
    },
    /// The model is elsewhere than the ledger's pending update.
    #[error(
        "the model is at version {server}, the ledger's pending update was made for {base}: {}",
        elsewhere(*server, *base)
    )]
    PendingLost {
        /// The server's version.
        server: u64,
        /// Version the pending update is based on.
        base: u64,
    },
    /// The service will never take an update, so that it was given up.
    #[error(
        "{cause}; the update made for version {base} was given up: what it spent stays spent, and the next training \
         goes on from the last version"
    )]
    UpdateAbandoned {
        /// Version the update was made for.
        base: u64,
        /// Why it cannot be committed.
        cause: Box<ClientError>,
    },
    /// An average is to become the model that nobody kept.
    #[error("the session keeps no average to adopt: open it with a decay for averaging")]
    NoAverage,
    /// The bytes that a ledger keeps of an update are no update.
    #[error("the privacy ledger's pending update cannot be sent again: {cause}")]
    Sealed {
        /// What is wrong with them.
        cause: String,
    },
    /// Tickets or images do not fit the model.
    #[error(transparent)]
    Recognition(#[from] RecognitionError),
    /// The store of tickets refuses.
    #[error(transparent)]
    TicketStore(#[from] sphinx_tickets::TicketStoreError),
    /// Tickets have run out, and no more could be prepared in the background.
    #[error("tickets have run out and no more could be prepared: {cause}")]
    Supply {
        /// Why not.
        cause: std::sync::Arc<ClientError>,
    },
    /// A background thread ended unexpectedly.
    #[error("a background task ended unexpectedly: {cause}")]
    Task {
        /// What the runtime says.
        cause: String,
    },
}

fn elsewhere(server: u64, base: u64) -> &'static str {
    if server < base {
        "the service went back to an older copy"
    } else {
        "somebody else trained it meanwhile, with steps that this ledger does not know"
    }
}

impl ClientError {
    /// What may follow, when a service refused.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        if let Self::Channel(error) = self { error.verdict() } else { None }
    }

    /// Whether a service has nothing under the name that it was asked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Channel(error) if error.is_not_found())
    }

    /// Whether the same operation may succeed later without a change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Channel(error) => error.is_transient(),
            Self::Supply { cause } => cause.is_transient(),
            Self::TicketStore(error) => {
                matches!(error, sphinx_tickets::TicketStoreError::Busy { .. })
            }
            Self::Name(_)
            | Self::Augmentation(_)
            | Self::Spec(_)
            | Self::Key(_)
            | Self::KeyFile(_)
            | Self::WrongKey { .. }
            | Self::Decrypt(_)
            | Self::OneShot(_)
            | Self::QueryLayout(_)
            | Self::EvaluationKeys(_)
            | Self::Data(_)
            | Self::Features(_)
            | Self::Pass(_)
            | Self::Tensor(_)
            | Self::NoProduct { .. }
            | Self::Clear(_)
            | Self::Optimizer(_)
            | Self::PrivacyPlan(_)
            | Self::Mechanism(_)
            | Self::Accounting(_)
            | Self::Ledger(_)
            | Self::LedgerSession { .. }
            | Self::OtherDelta { .. }
            | Self::PendingLost { .. }
            | Self::UpdateAbandoned { .. }
            | Self::NoAverage
            | Self::Sealed { .. }
            | Self::Recognition(_)
            | Self::Task { .. } => false,
        }
    }
}
