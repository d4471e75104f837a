//! Key files: one secret each, readable by its owner only, in a container that shows damage.
//!
//! A container is a line that names kind, version and parameter set; the protection (a byte: 0 for
//! none) with room for a passphrase's salt (16 bytes), nonce (24) and costs (memory, passes and
//! lanes, 4 bytes each); a label (its length in 4 bytes, then the label), which is not secret; the
//! secret; and the SHA-256 of all that. Numbers are little-endian.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::KeyError;

/// Protection of a secret that lies as it is.
const UNPROTECTED: u8 = 0;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const COST_BYTES: usize = 3 * 4;
const CHECKSUM_BYTES: usize = 32;
/// No key file comes near it.
const MAX_BYTES: u64 = 1 << 20;

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
    /// A key file is never overwritten: what its key sealed could not be read any more.
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
    /// Not a key file of this kind.
    #[error("{path} is no {expected} of Sphinx, or its first line is damaged")]
    Header {
        /// The file.
        path: PathBuf,
        /// The kind of key file expected.
        expected: &'static str,
    },
    /// An undamaged key file of another version or parameter set.
    #[error(
        "key file {path} begins with {got:?}, expected {expected:?}: use the release that made it"
    )]
    Version {
        /// The key file.
        path: PathBuf,
        /// How it begins.
        got: String,
        /// How key files of this version do.
        expected: &'static str,
    },
    /// The secret is protected in a way that this release does not know.
    #[error(
        "key file {path} has protection {got}, expected 0 (none): use the release that protected it"
    )]
    Protection {
        /// The key file.
        path: PathBuf,
        /// The protection found.
        got: u8,
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

/// A kind of key file.
pub(crate) struct Kind {
    /// As people call it.
    pub name: &'static str,
    /// What all its versions begin with.
    pub family: &'static str,
    /// The line that this version begins with.
    pub line: &'static str,
}

/// What a container holds.
pub(crate) struct Content {
    pub label: Vec<u8>,
    pub secret: Zeroizing<Vec<u8>>,
}

/// Writes a container to a new file with mode 0600, whole or not at all, and makes it durable.
///
/// # Errors
/// [`KeyFileError::Exists`] if there is a file already, [`KeyFileError::Io`] otherwise.
pub(crate) fn write(
    path: &Path,
    kind: &Kind,
    label: &[u8],
    secret: &[u8],
) -> Result<(), KeyFileError> {
    let bytes = encode(kind, UNPROTECTED, label, secret);
    let io_error = |source: io::Error| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            KeyFileError::Exists { path: path.to_owned() }
        } else {
            KeyFileError::Io { path: path.to_owned(), source }
        }
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    // Readable by its owner only from the start.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(io_error)?;
    file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(io_error)?;
    file.persist_noclobber(path).map_err(|error| io_error(error.error))?;
    // The name must be as durable as the content.
    fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(io_error)
}

fn encode(kind: &Kind, protection: u8, label: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let room = [0; SALT_BYTES + NONCE_BYTES + COST_BYTES];
    let length = (label.len() as u32).to_le_bytes();
    let parts = [kind.line.as_bytes(), &[protection], &room, &length, label, secret];
    // At full size from the start: growing would leave copies behind.
    let size = parts.iter().map(|part| part.len()).sum::<usize>() + CHECKSUM_BYTES;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// The bytes of a key file that nobody else may read.
///
/// # Errors
/// [`KeyFileError::Permissions`] or [`KeyFileError::Io`].
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    check_mode(&metadata, path)?;
    let size = metadata.len().min(MAX_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io_error)?;
    Ok(bytes)
}

/// What is in the bytes of a container of a kind.
///
/// # Errors
/// [`KeyFileError`] with the path of the file that they came from.
pub(crate) fn decode(path: &Path, kind: &Kind, bytes: &[u8]) -> Result<Content, KeyFileError> {
    let damaged = || KeyFileError::Damaged { path: path.to_owned() };
    if kind.line.as_bytes().starts_with(bytes) {
        // Cut within the first line.
        return Err(damaged());
    }
    if !bytes.starts_with(kind.family.as_bytes()) {
        return Err(KeyFileError::Header { path: path.to_owned(), expected: kind.name });
    }
    let content = checked(bytes).ok_or_else(damaged)?;
    let Some(fields) = content.strip_prefix(kind.line.as_bytes()) else {
        let got = String::from_utf8_lossy(&content[..kind.line.len().min(content.len())]);
        let (got, expected) = (got.trim_end().to_owned(), kind.line.trim_end());
        return Err(KeyFileError::Version { path: path.to_owned(), got, expected });
    };
    let (&protection, fields) = fields.split_first().ok_or_else(damaged)?;
    if protection != UNPROTECTED {
        return Err(KeyFileError::Protection { path: path.to_owned(), got: protection });
    }
    let room = SALT_BYTES + NONCE_BYTES + COST_BYTES;
    let (_, fields) = fields.split_at_checked(room).ok_or_else(damaged)?;
    let (length, fields) = fields.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (label, secret) = fields.split_at_checked(length).ok_or_else(damaged)?;
    Ok(Content { label: label.to_vec(), secret: Zeroizing::new(secret.to_vec()) })
}

/// What stands before a checksum that is right.
pub(crate) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (Sha256::digest(content).as_slice() == checksum).then_some(content)
}

#[cfg(unix)]
fn check_mode(metadata: &fs::Metadata, path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyFileError::Permissions { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn check_mode(_metadata: &fs::Metadata, _path: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind =
        Kind { name: "test key file", family: "sphinx test key ", line: "sphinx test key 2 set\n" };

    fn refused(bytes: &[u8]) -> KeyFileError {
        decode(Path::new("key"), &KIND, bytes).err().unwrap()
    }

    #[test]
    fn a_container_gives_back_what_was_put_in() {
        for (label, secret) in [(&b""[..], &b"secret"[..]), (b"label", b"")] {
            let content =
                decode(Path::new("key"), &KIND, &encode(&KIND, 0, label, secret)).unwrap();
            assert_eq!((&content.label[..], &content.secret[..]), (label, secret));
        }
    }

    #[test]
    fn rejects_every_cut_and_every_changed_byte() {
        let whole = encode(&KIND, 0, b"label", b"secret");
        for length in 0..whole.len() {
            let error = refused(&whole[..length]);
            assert!(matches!(error, KeyFileError::Damaged { .. }), "{length}: {error}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.to_vec();
            changed[index] ^= 1;
            let error = refused(&changed);
            if index < KIND.family.len() {
                assert!(matches!(error, KeyFileError::Header { .. }), "{index}: {error}");
            } else {
                assert!(matches!(error, KeyFileError::Damaged { .. }), "{index}: {error}");
            }
        }
    }

    #[test]
    fn rejects_other_versions_and_protections_with_the_reason() {
        let later = Kind { line: "sphinx test key 3 set\n", ..KIND };
        let error = refused(&encode(&later, 0, b"", b"secret"));
        assert_eq!(
            error.to_string(),
            "key file key begins with \"sphinx test key 3 set\", expected \"sphinx test key 2 set\": \
             use the release that made it"
        );
        let error = refused(&encode(&KIND, 1, b"", b"sealed"));
        assert!(matches!(error, KeyFileError::Protection { got: 1, .. }), "{error}");
    }
}
