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

use std::fs;
use std::path::{Path, PathBuf};

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

/// Where inputs lie that ended a decoder before it was mended, in a folder per target.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

impl Target {
    /// The target of this name, if there is one.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// The inputs that are right, and those that were found; at least one.
    pub fn known(&self) -> Vec<Vec<u8>> {
        let mut known = (self.seeds)();
        assert!(!known.is_empty(), "{}", self.name);
        // Most targets were never found out.
        let Ok(found) = fs::read_dir(corpus().join(self.name)) else { return known };
        let mut found: Vec<_> = found.map(|file| file.unwrap().path()).collect();
        found.sort();
        known.extend(found.iter().map(|file| fs::read(file).unwrap()));
        known
    }
}
