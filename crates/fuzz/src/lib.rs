//! Fuzz targets: every decoder of bytes that come from the network or from files.
//!
//! A [`Target`] takes any bytes; it may refuse them, and must neither panic nor take long nor make
//! room for more than it was given. Two drivers run it: [`Mutator`], which changes known inputs at
//! random and needs nothing (`tests/corpus.rs`, in every run of the tests), and libFuzzer, which
//! follows coverage (`deploy/fuzz.sh`). What they found lies in `corpus/NAME` and stays a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests")]

mod mutate;
mod scratch;
mod targets;

pub use mutate::Mutator;
pub use targets::TARGETS;

/// A decoder that takes any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Decodes an input.
    pub run: fn(&[u8]),
    /// Inputs that are right, from which others are made.
    pub seeds: fn() -> Vec<Vec<u8>>,
}
