//! The client SDK of Sphinx: train and use a network in the cloud that sees no image, label,
//! activation or prediction.
//!
//! [`SphinxClient`] talks to the services; everything secret happens on this side of the wire.

mod client;
mod connection;
pub mod defaults;
mod error;
mod evaluation_keys;
mod history;
mod keys;
mod memory;
mod models;
pub mod one_shot;
mod product;
pub mod recipe;
pub mod recognition;
mod sealed_state;
mod stated;
mod suspects;
pub mod tickets;
mod traffic;
mod training;
mod versions;
mod witness;
pub mod workspace;

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

pub use client::{Endpoints, Reach, SphinxClient};
pub use error::{
    AugmentationError, ClientError, ClientKeyError, MemoryError, OneShotInferenceError,
    PersonsError, RecognitionError, StateError, TrainingError,
};
pub use evaluation_keys::{EvaluationReceipt, evaluation_fingerprint};
pub use history::{ModelWatch, VersionSummary};
pub use keys::{KeyKind, KeyReceipt, RegisteredKey, identity_fingerprint};
pub use memory::Memory;
pub use models::{Model, ModelParameters};
pub use suspects::{Suspect, Suspects};
pub use traffic::Traffic;
pub use training::{
    Augmentation, BiasForm, Checks, ClearTwin, DataAccount, Direction, EncryptedSession, Evaluator,
    Event, Inputs, ModelLedger, Observed, Persons, Privacy, Profile, Progress, Protocol,
    ResolvedTraining, Sealed, SessionOptions, Shard, TrainingOptions, TrainingRequest,
    TrainingSummary, Update, View, check_input, train_with_inputs, train_without_ledger,
};
pub use versions::SeenVersions;
pub use witness::{Product, Sight, Witness};
pub use workspace::{Workspace, WorkspaceError};

// What the items above are made of, so that a program needs no other crate of the workspace.
pub use bytes::Bytes;
pub use sphinx_access::{Token, TokenError};
pub use sphinx_channel::{ChannelError, Security, SecurityError};
pub use sphinx_data as data;
pub use sphinx_evaluation_keys::OneShotProfile;
pub use sphinx_features as features;
pub use sphinx_gradient::Tensor;
pub use sphinx_network::{NetworkSpec, Plan, Shape, SpecError, StageParameters};
pub use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule};
pub use sphinx_privacy::data::DataStatus;
pub use sphinx_privacy::ledger::PrivacyUnit;
pub use sphinx_privacy::{Delta, Epsilon, PrivacyPlan, Target};
pub use sphinx_proto::{ConversionError, Fingerprint, KeyId, ModelId, Reason, SessionId, TenantId};
pub use sphinx_secret::{
    EmptyPassphrase, Identity, ModelName, Passphrase, ReadKey, RootKey, SecretKey,
};
pub use sphinx_tls::Identity as TlsIdentity;
pub use tonic::Code;

/// A generator for secrets: keys, masks, noise. It has no state: every draw is the operating
/// system's, so that a process that is copied or resumed repeats nothing.
///
/// It panics where the operating system has no randomness to give, as nothing could go on there.
pub fn secure_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Compiles the Rust code of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
