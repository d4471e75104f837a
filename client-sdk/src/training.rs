//! Training a model on data that stays here.
//!
//! One step: draw a batch, encrypt its images, let the trainer evaluate one linear layer at a time
//! on ciphertexts while this side decrypts, applies the non-linearities and encrypts again; then
//! the same backward; then clip every example's gradient, sum, add noise, record what that spends,
//! and send the noised sum.

pub(crate) mod account;
mod augmentation;
mod automatic;
mod batches;
mod clear;
mod deliver;
mod evaluator;
mod inputs;
mod ledger;
mod link;
mod mirror;
mod options;
mod persons;
mod progress;
mod protocol;
mod randomness;
mod run;
mod sealed;
mod session;
mod shards;
mod start;
mod step;
mod stream;
mod trained;
mod trainer_rows;
mod update;

pub use account::DataAccount;
pub use augmentation::Augmentation;
pub use clear::ClearTwin;
pub use evaluator::{Direction, Evaluator, Event, Observed, Shard, Update};
pub use inputs::{Inputs, View};
pub use ledger::ModelLedger;
pub(crate) use mirror::ModelMirror;
pub use options::{Privacy, ResolvedTraining, TrainingOptions};
pub use persons::Persons;
pub use progress::{Progress, TrainingSummary};
pub use protocol::{BiasForm, Checks, Profile, Protocol};
pub use run::{train_with_inputs, train_without_ledger};
pub use sealed::Sealed;
pub use session::{EncryptedSession, SessionOptions};
pub use start::{TrainingRequest, check_input};
