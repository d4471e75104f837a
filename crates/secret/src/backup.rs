//! Backups: many files of a user in one container.

use std::path::Path;

use zeroize::Zeroizing;

use crate::container::{self, KeyFileError, Kind, Place};
use crate::passphrase::Passphrase;

const FILE: Kind = Kind {
    name: "backup",
    family: "sphinx backup ",
    line: "sphinx backup 1\n",
    most_bytes: 4 << 30,
};

/// Writes a backup to a new file with mode 0600, whole or not at all, and makes it durable.
/// Without a passphrase it holds what it holds as it is.
///
/// # Errors
/// [`KeyFileError::Exists`] if there is a file already, [`KeyFileError::Io`] otherwise.
pub fn write_backup(
    path: &Path,
    content: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyFileError> {
    container::write(path, Place::New, &FILE, &[], content, passphrase)
}

/// What a backup holds.
///
/// # Errors
/// [`KeyFileError::Sealed`] without the passphrase that is needed,
/// [`KeyFileError::WrongPassphrase`] with another, [`KeyFileError::Damaged`] if a byte of it has
/// changed or is missing.
pub fn read_backup(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let bytes = container::read(path, &FILE)?;
    Ok(container::decode(path, &FILE, &bytes, passphrase)?.secret)
}
