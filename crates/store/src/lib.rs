//! Durable storage of the services over [`object_store`]: whole objects, written once.
//!
//! [`Objects`] is the store itself, [`record`] the frame that detects damage, [`ModelStore`] the models
//! with compare-and-set commits. An acknowledged write survives a crash of the process and of the
//! machine; a write that was not acknowledged either happened whole or not at all.
#![deny(clippy::indexing_slicing)]

mod error;
mod layout;
mod model;
mod models;
mod objects;
pub mod record;
mod retention;

pub use error::StoreError;
pub use model::{CommitId, ModelMeta, ModelVersion};
pub use models::{Committed, Created, ModelStore, StoredModel};
pub use objects::{Entry, Objects, Put};
pub use retention::Retention;
