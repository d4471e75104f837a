//! Encrypted recognition over real sockets, against the quantised network in the clear.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a failed set-up, or another error than expected, fails the test"
)]

mod agreement;
mod batches;
mod canaries;
mod evaluation_keys;
mod liars;
mod load;
mod refusals;
mod repair;
mod restart;
mod silence;
mod supply;
mod world;
