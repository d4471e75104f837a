//! Key files and what is derived from their keys, as users of the crate see it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod derived;
#[cfg(unix)]
mod file;
mod golden;
mod sealed;

use std::path::{Path, PathBuf};

use sphinx_secret::ModelName;
use tempfile::TempDir;

/// Writes bytes to a new file with mode 0600.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.key");
    write(&path, bytes);
    (directory, path)
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn digits() -> ModelName {
    let incarnation = std::array::from_fn(|index| index as u8);
    ModelName { tenant: "acme".to_owned(), model: "digits".to_owned(), incarnation }
}
