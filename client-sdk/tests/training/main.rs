//! Training on ciphertexts: a real trainer process, a real key vault, real sockets.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod accounts;
mod augmentation;
mod averaging;
mod bias_bound;
mod curves;
mod equivalence;
mod exact_biases;
mod killed_client;
mod killed_trainer;
mod kills;
mod ledger;
mod liars;
mod pending;
mod resumed;
mod shards;
mod watched;

use sphinx_testbed::training as world;

/// Not a test of its own: a service as a process, which tests start and kill.
#[test]
#[ignore = "started by Process"]
fn service_process() {
    sphinx_testbed::serve_process();
}
