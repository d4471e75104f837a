//! Encrypted recognition over real sockets, against the quantised network in the clear.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

mod agreement;
mod forger;
mod refusals;
mod restart;
mod world;
