//! A store of tickets on a real disk: kept, taken once, shared by processes, killed, damaged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a failed set-up, or another error than expected, fails the test; there is no runtime whose threads sleep"
)]

mod damage;
mod disk;
mod foreign;
mod keeping;
mod killed;
mod racing;
mod repair;
mod shared;
mod world;
