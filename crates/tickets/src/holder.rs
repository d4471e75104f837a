//! Who holds tickets: a handle of a store, in a process that lives or does not.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha20Rng;

use crate::error::TicketStoreError;

/// Random and never used again.
pub(crate) type HolderId = [u8; 16];

const EXTENSION: &str = "holder";
/// Far longer than a holder takes to be locked and renamed.
const ABANDONED: Duration = Duration::from_secs(60);

/// A file that stays locked as long as its process lives; the system unlocks it however the process
/// ends.
pub(crate) struct Holder {
    pub id: HolderId,
    path: PathBuf,
    process: u32,
    _locked: File,
}

impl Holder {
    pub fn new(directory: &Path, rng: &mut ChaCha20Rng) -> Result<Self, TicketStoreError> {
        let mut id = HolderId::default();
        rng.fill_bytes(&mut id);
        let path = holder_path(directory, &id);
        let failed = |error: std::io::Error| TicketStoreError::io(&path, &error);
        // Locked before it appears under its name: no one sees it unlocked while it lives.
        let fresh = path.with_extension("holder-new");
        let file = private_file(&fresh).map_err(failed)?;
        let locked = file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => failed(error),
            TryLockError::WouldBlock => TicketStoreError::Busy { path: fresh.clone() },
        });
        locked.and_then(|()| fs::rename(&fresh, &path).map_err(failed)).inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })?;
        Ok(Self { id, path, process: std::process::id(), _locked: file })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A forked copy leaves it to its parent, which needs it.
        if std::process::id() == self.process {
            // One that stays behind is unlocked, which is enough.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn holder_path(directory: &Path, id: &HolderId) -> PathBuf {
    directory.join(hex::encode(id)).with_extension(EXTENSION)
}

/// Whether a holder can still use what it holds. When in doubt, it can.
pub(crate) fn is_alive(directory: &Path, id: &HolderId) -> bool {
    let path = holder_path(directory, id);
    match File::open(&path) {
        Ok(file) => file.try_lock().is_err(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Whether the file of a holder that never got its name is of a killed process: old, and locked by
/// nobody.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    let age = |file: &File| file.metadata()?.modified()?.elapsed().map_err(std::io::Error::other);
    let Ok(file) = File::open(path) else { return false };
    age(&file).is_ok_and(|age| age >= ABANDONED) && file.try_lock().is_ok()
}

/// A new file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_holder_lives_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let holder = Holder::new(directory.path(), &mut rng).unwrap();
        let id = holder.id;
        assert!(is_alive(directory.path(), &id));
        assert!(!is_alive(directory.path(), &[0; 16]));
        drop(holder);
        assert!(!is_alive(directory.path(), &id));
    }

    #[test]
    fn only_old_and_unlocked_files_are_abandoned() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let file = private_file(&path).unwrap();
        assert!(!is_abandoned(&path), "its process may be about to lock it");
        file.set_modified(std::time::SystemTime::now() - 2 * ABANDONED).unwrap();
        file.lock().unwrap();
        assert!(!is_abandoned(&path));
        drop(file);
        assert!(is_abandoned(&path));
        assert!(!is_abandoned(&directory.path().join("none")));
    }
}
