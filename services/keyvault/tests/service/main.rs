//! The key vault over real sockets, in this process and as one of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;
mod evaluation;
mod fetch;
mod process;
mod revocation;
mod rpc;
mod secrets;
mod unfinished;
