//! Replicas of the services as processes, on one bucket of an S3 server, behind HAProxy where it is
//! installed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod backup;
mod racing;
mod recognition;
mod refusals;
mod training;
mod world;

/// Not a test of its own: a service as a process, which tests start and kill.
#[test]
#[ignore = "started by Process"]
fn service_process() {
    sphinx_testbed::serve_process();
}
