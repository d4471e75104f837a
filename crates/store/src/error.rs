//! What can go wrong with stored objects.

use sphinx_proto::{ErrorCode, ModelId, RpcError};

use crate::record::RecordError;

/// An error of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The configured location cannot be used.
    #[error("store {location:?}: {cause}; expected a directory or a file:// URL")]
    Location {
        /// The location.
        location: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The disk or the object store failed.
    #[error("object {path}: {cause}")]
    Backend {
        /// The object.
        path: String,
        /// What the backend said.
        cause: String,
    },
    /// An object is not what was written. Restore it from a backup.
    #[error("object {path} is damaged: {cause}")]
    Damaged {
        /// The object.
        path: String,
        /// How that shows.
        cause: RecordError,
    },
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
            Self::Location { .. } | Self::Backend { .. } | Self::Damaged { .. } => {
                ErrorCode::Internal
            }
            Self::NoModel { .. } | Self::NoVersion { .. } => ErrorCode::NotFound,
            Self::ModelExists { .. } => ErrorCode::AlreadyExists,
            Self::Conflict { .. } => ErrorCode::Aborted,
        }
    }
}
