//! All that is needed to go on, in one file: keys, ledgers, and what a home remembers of the
//! services. Tickets of recognition are left out: an old copy put back could use one twice.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use sphinx_secret::{Passphrase, RootKey, read_backup, write_backup};
use zeroize::Zeroizing;

use super::home::{file_error, private_directory, write_new};
use crate::error::ClientError;
use crate::workspace::{Home, WorkspaceError};

/// What stays where it is.
const LEFT_OUT: &str = "tickets";
/// Below it lie the files of keys.
const KEYS: &str = "keys";

/// What a backup holds, or what was restored of it: paths within the home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Files of a restored backup that were here already, just so.
    pub unchanged: Vec<PathBuf>,
}

impl Home {
    /// Writes keys, ledgers, marks and versions seen to a new file, sealed by a passphrase if there
    /// is one. Keys are kept as they are: a sealed one is sealed in the backup too.
    ///
    /// # Errors
    /// [`WorkspaceError::InUse`] for a ledger that a training writes to;
    /// [`WorkspaceError::NothingToKeep`] for an empty home; [`WorkspaceError::Client`] for a key
    /// that is damaged, or a file that is in the way; [`WorkspaceError::File`].
    pub fn backup(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<BackupReport, WorkspaceError> {
        let mut files = Vec::new();
        list(self.root_directory(), Path::new(""), &mut files)?;
        files.sort();
        if files.is_empty() {
            let path = self.root_directory().to_owned();
            return Err(WorkspaceError::NothingToKeep { path });
        }
        let mut archive = tar::Builder::new(Vec::new());
        for name in &files {
            let source = self.root_directory().join(name);
            if is_key(name) {
                // A damaged one would be found when it is too late.
                RootKey::is_sealed(&source).map_err(ClientError::from)?;
            }
            let bytes = at_rest(&source)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            archive
                .append_data(&mut header, name, bytes.as_slice())
                .map_err(|error| file_error(&source, error))?;
        }
        let archive = archive.into_inner().map_err(|error| file_error(path, error))?;
        write_backup(path, &Zeroizing::new(archive), passphrase).map_err(ClientError::from)?;
        Ok(BackupReport { files, unchanged: Vec::new() })
    }

    /// Puts back what a backup holds, as far as it is not here. Nothing is written if anything
    /// differs from what is here.
    ///
    /// # Errors
    /// [`WorkspaceError::Differs`] for a file that is here and another;
    /// [`WorkspaceError::Client`] if the backup is damaged, or sealed by another passphrase;
    /// [`WorkspaceError::File`].
    pub fn restore(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<BackupReport, WorkspaceError> {
        let archive = read_backup(path, passphrase).map_err(ClientError::from)?;
        let unreadable = |error| file_error(path, error);
        let mut report = BackupReport::default();
        let mut missing = Vec::new();
        let mut entries = tar::Archive::new(archive.as_slice());
        for entry in entries.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let name = entry.path().map_err(unreadable)?.into_owned();
            if !is_within(&name) || !entry.header().entry_type().is_file() {
                let cause = io::Error::other(format!("{} is no file of a home", name.display()));
                return Err(unreadable(cause));
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(entry.size() as usize));
            entry.read_to_end(&mut bytes).map_err(unreadable)?;
            let target = self.root_directory().join(&name);
            match fs::read(&target).map(Zeroizing::new) {
                Ok(here) if *here == *bytes => report.unchanged.push(name),
                Ok(_) => return Err(WorkspaceError::Differs { path: target }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push((name, bytes))
                }
                Err(error) => return Err(file_error(&target, error)),
            }
        }
        for (name, bytes) in missing {
            let target = self.root_directory().join(&name);
            if let Some(directory) = target.parent() {
                private_directory(directory)?;
            }
            write_new(&target, &bytes).map_err(|error| file_error(&target, error))?;
            report.files.push(name);
        }
        Ok(report)
    }
}

/// The files below a directory, by their paths from `root` on.
fn list(root: &Path, within: &Path, files: &mut Vec<PathBuf>) -> Result<(), WorkspaceError> {
    let directory = root.join(within);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_error(&directory, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| file_error(&directory, error))?;
        let name = within.join(entry.file_name());
        let kind = entry.file_type().map_err(|error| file_error(&directory, error))?;
        if kind.is_dir() && name != Path::new(LEFT_OUT) {
            list(root, &name, files)?;
        } else if kind.is_file() && !is_aside(&name) {
            files.push(name);
        }
    }
    Ok(())
}

/// What a process that was killed left half written.
fn is_aside(name: &Path) -> bool {
    name.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".tmp"))
}

fn is_key(name: &Path) -> bool {
    name.starts_with(KEYS) && name.extension().is_some_and(|extension| extension == "key")
}

/// Whether a path names a file below a home, and none that a backup leaves out.
fn is_within(name: &Path) -> bool {
    let mut parts = name.components();
    name.components().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !name.starts_with(LEFT_OUT)
}

/// The bytes of a file that nobody writes to: ledgers are locked while a training has them open.
fn at_rest(path: &Path) -> Result<Zeroizing<Vec<u8>>, WorkspaceError> {
    let wrong = |error| file_error(path, error);
    let mut file = File::open(path).map_err(wrong)?;
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(WorkspaceError::InUse { path: path.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(wrong(error)),
    }
    let size = file.metadata().map_err(wrong)?.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}
