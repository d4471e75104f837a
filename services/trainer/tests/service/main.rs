//! The trainer over real sockets, in this process and as one of its own, with a real key vault
//! beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "any other message fails the test")]

mod biases;
mod blocks;
mod chain;
mod commit;
mod common;
mod creation;
mod evaluate;
mod follow;
mod history;
mod mirror;
mod optimiser;
mod parameters;
mod process;
mod rotation;
mod session;
mod talk;
mod tenants;
mod updates;
