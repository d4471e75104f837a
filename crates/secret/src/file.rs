//! The key file: one secret key, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sphinx_linalg::POLYNOMIAL_SIZE;
use zeroize::Zeroizing;

use crate::key::{KeyError, SecretKey};

/// What a key file starts with: a name, the format version and the parameter set.
const HEADER: &[u8; 32] = b"sphinx secret key 1 glwe-2048-v1";
const KEY_BYTES: usize = POLYNOMIAL_SIZE / 8;
const CHECKSUM_BYTES: usize = 32;

/// Why a key file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system refused.
    #[error("key file {path}: {source}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A key file is never overwritten: what it encrypted could not be decrypted any more.
    #[error("key file {path} exists already; choose another name or move it away first")]
    Exists {
        /// The key file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("key file {path} has mode {mode:o}: others may read it; run chmod 600 on it")]
    Permissions {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key file, or of another version or parameter set.
    #[error("{path} is no key file of this version (parameter set glwe-2048-v1)")]
    Header {
        /// The key file.
        path: PathBuf,
    },
    /// The content was changed or cut short.
    #[error("key file {path} is damaged: restore it from your backup")]
    Damaged {
        /// The key file.
        path: PathBuf,
    },
    /// The content is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl SecretKey {
    /// Writes the key to a new file with mode 0600 and makes it durable.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is a file already, [`KeyFileError::Io`] otherwise.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let mut bytes = Zeroizing::new(HEADER.to_vec());
        bytes.extend_from_slice(&self.to_bits());
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let io_error = |source: io::Error| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                KeyFileError::Exists { path: path.to_owned() }
            } else {
                KeyFileError::Io { path: path.to_owned(), source }
            }
        };
        let mut file = options.open(path).map_err(io_error)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io_error)?;
        // The name must be as durable as the content.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::File::open(parent.unwrap_or(Path::new("."))).map_err(io_error)?;
        directory.sync_all().map_err(io_error)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read, may be read by others, or does not hold a key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(io_error)?;
        check_mode(&file, path)?;
        let length = HEADER.len() + KEY_BYTES + CHECKSUM_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
        file.take(length as u64 + 1).read_to_end(&mut bytes).map_err(io_error)?;
        if !bytes.starts_with(HEADER) {
            return Err(KeyFileError::Header { path: path.to_owned() });
        }
        let damaged = || KeyFileError::Damaged { path: path.to_owned() };
        let (content, checksum) =
            bytes.split_at_checked(length - CHECKSUM_BYTES).ok_or_else(damaged)?;
        if Sha256::digest(content).as_slice() != checksum {
            return Err(damaged());
        }
        Ok(Self::from_bits(&content[HEADER.len()..])?)
    }
}

#[cfg(unix)]
fn check_mode(file: &fs::File, path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        file.metadata().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyFileError::Permissions { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn check_mode(_file: &fs::File, _path: &Path) -> Result<(), KeyFileError> {
    Ok(())
}
