//! Streams that are cut, reordered and damaged on their way between real processes: what the
//! services answer, and what the SDK does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod budget;
mod cuts;
mod streams;
mod ways;

/// Not a test of its own: a service as a process, which tests start and kill.
#[test]
#[ignore = "started by Process"]
fn service_process() {
    sphinx_testbed::serve_process();
}
