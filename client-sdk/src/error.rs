//! What can go wrong between the SDK and the services.

mod advice;
mod augmentation;
mod from;
mod keys;
mod memory;
mod one_shot;
mod persons;
mod recognition;
mod state;
mod training;

use sphinx_channel::{ChannelError, Verdict};
use sphinx_proto::ConversionError;

pub use augmentation::AugmentationError;
pub use keys::ClientKeyError;
pub use memory::MemoryError;
pub use one_shot::OneShotInferenceError;
pub use persons::PersonsError;
pub use recognition::RecognitionError;
pub use state::StateError;
pub use training::TrainingError;

/// Why an operation of the SDK failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A service cannot be reached, refused, or broke the protocol.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What should be a token is none.
    #[error(transparent)]
    Token(#[from] sphinx_access::TokenError),
    /// A name or an id is malformed.
    #[error(transparent)]
    Name(#[from] ConversionError),
    /// The network description is wrong.
    #[error(transparent)]
    Spec(#[from] sphinx_network::SpecError),
    /// The data set is unusable.
    #[error(transparent)]
    Data(#[from] sphinx_data::DatasetError),
    /// The network's public features cannot be computed.
    #[error(transparent)]
    Features(#[from] sphinx_features::FeatureError),
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] ClientKeyError),
    /// A model cannot be trained.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A query cannot be made, or an answer not be read.
    #[error(transparent)]
    OneShot(#[from] OneShotInferenceError),
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
    /// A version of a model is not what it should be.
    #[error(transparent)]
    State(#[from] StateError),
    /// What this machine remembers of a model forbids to use it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
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
            Self::Token(_)
            | Self::Name(_)
            | Self::Spec(_)
            | Self::Data(_)
            | Self::Features(_)
            | Self::Keys(_)
            | Self::Training(_)
            | Self::State(_)
            | Self::Memory(_)
            | Self::OneShot(_)
            | Self::UpdateAbandoned { .. }
            | Self::Recognition(_)
            | Self::Task { .. } => false,
        }
    }
}
