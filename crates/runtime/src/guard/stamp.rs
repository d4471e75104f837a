//! Whether files have changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Files, and how they were when they were looked at last.
#[derive(Debug)]
pub(super) struct Stamps(Mutex<Vec<(PathBuf, Stamp)>>);

/// What a changed file has otherwise: its length, its time, or, renamed into place, its number.
/// `None` of a file that is not there.
type Stamp = Option<(u64, Option<SystemTime>, u64)>;

impl Stamps {
    /// To be taken before the files are read, so that no change falls between.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        Self(Mutex::new(paths.map(|path| (path.to_owned(), stamp(path))).collect()))
    }

    /// Whether any has changed since the last look.
    pub(super) fn changed(&self) -> bool {
        let mut changed = false;
        for (path, last) in &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let now = stamp(path);
            changed |= now != *last;
            *last = now;
        }
        changed
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some((metadata.len(), metadata.modified().ok(), number))
}
