//! What whoever runs the services sees of them: metrics, a dashboard, traces, logs, readiness; and
//! what he can script with other tools. Real processes, spoken to as they are in production.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod experiment;
mod metrics;
mod panels;
mod ready;
mod tools;
mod traces;
mod world;
