//! What can go wrong with stored models.

use sphinx_objects::ObjectError;
use sphinx_proto::{ErrorCode, ModelId, Reason, RpcError};

/// An error of the store of models.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The objects under the models failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// No such model.
    #[error("model {model} does not exist")]
    NoModel {
        /// Its name.
        model: ModelId,
    },
    /// No such version, or no longer.
    #[error(
        "model {model} has no version {version}: it is at {head}, the oldest version kept is {oldest}"
    )]
    NoVersion {
        /// The model.
        model: ModelId,
        /// The version asked for.
        version: u64,
        /// The oldest kept.
        oldest: u64,
        /// The newest.
        head: u64,
    },
    /// The name belongs to another model.
    #[error("model {model} exists already, made by another request or trained since")]
    ModelExists {
        /// The name.
        model: ModelId,
    },
    /// A version in the form of an earlier release.
    #[error(
        "model {model} was made by an earlier release, which kept its biases encrypted under a lasting \
         key: reading them means decrypting what a server chose, so it is refused; train a new model"
    )]
    Earlier {
        /// The model.
        model: ModelId,
    },
    /// The model moved on meanwhile.
    #[error("model {model} is at version {head}, not {base}: reopen the session there")]
    Conflict {
        /// The model.
        model: ModelId,
        /// The version the commit was based on.
        base: u64,
        /// The newest version.
        head: u64,
    },
}

impl RpcError for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Object(_) => ErrorCode::Internal,
            Self::NoModel { .. } | Self::NoVersion { .. } => ErrorCode::NotFound,
            Self::ModelExists { .. } => ErrorCode::AlreadyExists,
            Self::Earlier { .. } => ErrorCode::FailedPrecondition,
            Self::Conflict { .. } => ErrorCode::Aborted(Reason::BaseMoved),
        }
    }
}
