//! Data sets as people have them, good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod arrays;
mod idx;
mod pictures;

use std::fs;
use std::path::Path;

use sphinx_data::sources::{self, Loaded, Unreadable};
use sphinx_data::{DatasetError, TrainTest};

/// The set at a path through its own pipeline.
fn load(path: &Path) -> Result<TrainTest, DatasetError> {
    sources::open(path)?.into_train_test()
}

/// What is said of a bad one.
fn refusal(path: &Path) -> String {
    load(path).unwrap_err().to_string()
}

fn loaded(path: &Path, unreadable: Unreadable) -> Result<Loaded, DatasetError> {
    let found = sources::open(path)?;
    let pipeline = found.pipeline()?;
    found.load(&pipeline, unreadable)
}

/// Writes a file and the folders above it.
fn put(path: impl AsRef<Path>, bytes: &[u8]) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
