//! Worlds for tests, examples and benches: services in this process and as processes of their own,
//! and relays between them and their clients that break what passes.
//!
//! Everything here panics when the world itself cannot be made, as a test does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests")]

mod keys;
pub mod liar;
mod models;
mod process;
pub mod proxy;
pub mod relay;
pub mod s3;
mod sealed;
mod services;
pub mod training;

pub use keys::{IDENTITY_BYTES, key_header, of_tenant, register_key, revoke_key, upload};
pub use models::{model_meta, model_version};
pub use process::{Place, Process, is_served_process, serve_process};
pub use sealed::{first_version, next_version, one_shot_biases, read_key};
pub use services::{
    Running, inference, inference_with, keyvault, keyvault_with, listen, trainer, trainer_with,
};
