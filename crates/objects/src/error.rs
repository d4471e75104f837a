//! What can go wrong with stored objects.

use crate::record::RecordError;

/// An error of the store of objects. Each is a fault of the store or of its configuration, never of
/// a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The configured location cannot be used.
    #[error(
        "store {location:?}: {cause}; expected a directory, file:///DIRECTORY, s3://BUCKET/PREFIX, \
         gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
    )]
    Location {
        /// As configured; what stands before an `@` is left out, since it may be a password.
        location: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The store refuses who asks.
    #[error("store {location}: it refuses the credentials ({cause}); {advice}")]
    Credentials {
        /// As configured.
        location: String,
        /// What the store said.
        cause: String,
        /// Where credentials are looked for, and what they must allow.
        advice: &'static str,
    },
    /// The store has no such bucket.
    #[error(
        "store {location}: there is no such bucket ({cause}); make it, or correct its name or the \
         endpoint"
    )]
    NoBucket {
        /// As configured.
        location: String,
        /// What the store said.
        cause: String,
    },
    /// The store cannot tell a new object from one that is there.
    #[error(
        "store {location}: it has no conditional writes ({cause}), without which two replicas \
         would overwrite each other's models; use one that answers a PUT with If-None-Match: * \
         with 412 where an object is"
    )]
    NoConditionalWrites {
        /// As configured.
        location: String,
        /// What it did instead.
        cause: String,
    },
    /// The store does not answer as a store does.
    #[error("store {location}: {cause}; is its endpoint right, and does it answer?")]
    Unreachable {
        /// As configured.
        location: String,
        /// What happened.
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
