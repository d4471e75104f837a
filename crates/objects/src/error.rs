//! What can go wrong with stored objects.

use crate::record::RecordError;

/// An error of the store of objects. Each is a fault of this machine or of its disk, never of a
/// request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The configured location cannot be used.
    #[error("store {location:?}: {cause}; expected a directory or a file:// URL")]
    Location {
        /// As configured.
        location: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The disk or the object store failed.
    #[error("object {path}: {cause}")]
    Backend {
        /// Where the object lies.
        path: String,
        /// What the backend said.
        cause: String,
    },
    /// An object is not what was written. Restore it from a backup.
    #[error("object {path} is damaged: {cause}")]
    Damaged {
        /// Where the object lies.
        path: String,
        /// How that shows.
        cause: RecordError,
    },
}
