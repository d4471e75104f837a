//! Models as durable objects: created once, moved on by compare-and-set commits.
//!
//! [`ModelStore`] keeps them, [`ModelMeta`] says what a model is and [`ModelVersion`] holds its
//! parameters after a commit. Which versions stay is [`Retention`]'s to say.
#![deny(clippy::indexing_slicing)]

mod error;
mod layout;
mod model;
mod network;
mod retention;
mod store;

pub use error::StoreError;
pub use model::{CommitId, ModelMeta, ModelVersion, VersionHashes};
pub use network::{NetworkFault, StoredNetwork};
pub use retention::Retention;
pub use store::{Committed, Created, ModelStore, StoredModel};
