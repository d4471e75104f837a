//! The client SDK of Sphinx: train and use a network in the cloud that sees no image, label, activation or
//! prediction.
//!
//! [`SphinxClient`] talks to the services; everything secret happens on this side of the wire.

mod client;
mod connection;
pub mod data;
mod error;
mod evaluation_keys;
mod keys;
mod models;
pub mod one_shot;
pub mod recipe;
pub mod recognition;
pub mod tickets;
mod training;
pub mod workspace;

pub use client::{Endpoints, SphinxClient};
pub use error::ClientError;
pub use evaluation_keys::{EvaluationReceipt, evaluation_fingerprint};
pub use models::ModelParameters;
pub use recognition::RecognitionError;
pub use sphinx_features as features;
pub use sphinx_proto::{KeyId, ModelId, TenantId};
pub use sphinx_secret::SecretKey;
pub use training::{
    Augmentation, AugmentationError, ClearTwin, Direction, EncryptedSession, Inputs, LinearCloud,
    ModelLedger, Preview, Privacy, Progress, SessionOptions, Traffic, TrainingOptions,
    TrainingRequest, TrainingSummary, Update, View, train_with_inputs, train_without_ledger,
};
pub use workspace::{Workspace, WorkspaceError};

/// Compiles the Rust code of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
