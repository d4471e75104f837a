//! Training on ciphertexts: a real trainer process, a real key vault, real sockets.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod augmentation;
mod averaging;
mod bias_bound;
mod curves;
mod equivalence;
mod exact_biases;
mod killed_client;
mod killed_trainer;
mod ledger;
mod pending;
mod world;
