//! Key files: one secret each, readable by its owner only, in a container that shows damage.
//!
//! A container is a line that names kind, version and parameter set; the protection (a byte: 0 for
//! none, 1 for a passphrase) with the passphrase's salt (16 bytes), nonce (24) and costs (memory in
//! KiB, passes and lanes, 4 bytes each), zeros without one; a label (its length in 4 bytes, then
//! the label), which is not secret; the secret, under a passphrase as its ciphertext, bound to all
//! that stands before; and the SHA-256 of all that. Numbers are little-endian.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::KeyError;
use crate::passphrase::{Lock, Passphrase, ROOM_BYTES};

/// Protection of a secret that lies as it is, and of one under a passphrase.
const UNPROTECTED: u8 = 0;
const SEALED: u8 = 1;
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
    /// A passphrase is needed, and there is none.
    #[error("{path} is sealed by a passphrase, and none is given")]
    Sealed {
        /// The key file.
        path: PathBuf,
    },
    /// Another passphrase than the one it was sealed by.
    #[error("this is not the passphrase of {path}")]
    WrongPassphrase {
        /// The key file.
        path: PathBuf,
    },
    /// The secret is protected in a way that this release does not know.
    #[error(
        "key file {path} has protection {got}, expected 0 (none) or 1 (passphrase): use the release that protected \
         it"
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
    /// No file of this kind comes near it, bytes.
    pub most_bytes: u64,
}

/// Whether a file may be in the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It must not.
    New,
    /// It is replaced.
    Same,
}

/// What a container holds.
pub(crate) struct Content {
    pub label: Vec<u8>,
    pub secret: Zeroizing<Vec<u8>>,
}

/// A container that is whole, as far as it can be read without a passphrase.
pub(crate) struct Closed<'a> {
    pub label: &'a [u8],
    /// `None` of a secret that lies as it is.
    lock: Option<Lock>,
    /// What the secret is bound to.
    associated: &'a [u8],
    secret: &'a [u8],
}

/// Writes a container with mode 0600, whole or not at all, and makes it durable.
///
/// # Errors
/// [`KeyFileError::Exists`] if a file is in the way, [`KeyFileError::Io`] otherwise.
pub(crate) fn write(
    path: &Path,
    place: Place,
    kind: &Kind,
    label: &[u8],
    secret: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyFileError> {
    let io_error = |source: io::Error| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            KeyFileError::Exists { path: path.to_owned() }
        } else {
            KeyFileError::Io { path: path.to_owned(), source }
        }
    };
    let refused = || io_error(io::Error::other("no memory to seal it by a passphrase"));
    let lock = passphrase.map(|passphrase| (Lock::generate(&mut UnwrapErr(SysRng)), passphrase));
    let bytes = encode(kind, lock, label, secret).ok_or_else(refused)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    // Readable by its owner only from the start.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(io_error)?;
    file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(io_error)?;
    let persisted = match place {
        Place::New => file.persist_noclobber(path),
        Place::Same => file.persist(path),
    };
    persisted.map_err(|error| io_error(error.error))?;
    // The name must be as durable as the content.
    fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(io_error)
}

/// `None` if the passphrase's key cannot be computed here.
fn encode(
    kind: &Kind,
    lock: Option<(Lock, &Passphrase)>,
    label: &[u8],
    secret: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (protection, room) = match lock {
        None => (UNPROTECTED, [0; ROOM_BYTES]),
        Some((lock, _)) => (SEALED, lock.to_bytes()),
    };
    let length = (label.len() as u32).to_le_bytes();
    let before = [kind.line.as_bytes(), &[protection], &room, &length, label].concat();
    let sealed = match lock {
        None => None,
        Some((lock, passphrase)) => Some(lock.seal(passphrase, &before, secret)?),
    };
    let secret = sealed.as_deref().unwrap_or(secret);
    // At full size from the start: growing would leave copies behind.
    let size = before.len() + secret.len() + CHECKSUM_BYTES;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    bytes.extend_from_slice(&before);
    bytes.extend_from_slice(secret);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    Some(bytes)
}

/// The bytes of a key file that nobody else may read.
///
/// # Errors
/// [`KeyFileError::Permissions`] or [`KeyFileError::Io`].
pub(crate) fn read(path: &Path, kind: &Kind) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io_error = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    check_mode(&metadata, path)?;
    let size = metadata.len().min(kind.most_bytes);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(kind.most_bytes).read_to_end(&mut bytes).map_err(io_error)?;
    Ok(bytes)
}

/// What is in the bytes of a container of a kind, by its passphrase if it has one.
///
/// # Errors
/// [`KeyFileError`] with the path of the file that they came from.
pub(crate) fn decode(
    path: &Path,
    kind: &Kind,
    bytes: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<Content, KeyFileError> {
    let closed = inspect(path, kind, bytes)?;
    let secret = match closed.lock {
        None => Zeroizing::new(closed.secret.to_vec()),
        Some(lock) => {
            let sealed = || KeyFileError::Sealed { path: path.to_owned() };
            let passphrase = passphrase.ok_or_else(sealed)?;
            let opened = lock.open(passphrase, closed.associated, closed.secret);
            opened.ok_or_else(|| KeyFileError::WrongPassphrase { path: path.to_owned() })?
        }
    };
    Ok(Content { label: closed.label.to_vec(), secret })
}

/// A container of a kind that is whole.
///
/// # Errors
/// [`KeyFileError`] with the path of the file that the bytes came from.
pub(crate) fn inspect<'a>(
    path: &Path,
    kind: &Kind,
    bytes: &'a [u8],
) -> Result<Closed<'a>, KeyFileError> {
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
    let (room, fields) = fields.split_first_chunk::<ROOM_BYTES>().ok_or_else(damaged)?;
    let lock = match protection {
        UNPROTECTED => None,
        SEALED => Some(Lock::of_bytes(room).ok_or_else(damaged)?),
        got => return Err(KeyFileError::Protection { path: path.to_owned(), got }),
    };
    let (length, fields) = fields.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (label, secret) = fields.split_at_checked(length).ok_or_else(damaged)?;
    let associated = &content[..content.len() - secret.len()];
    Ok(Closed { label, lock, associated, secret })
}

impl Closed<'_> {
    pub(crate) fn is_sealed(&self) -> bool {
        self.lock.is_some()
    }
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

    const KIND: Kind = Kind {
        name: "test key file",
        family: "sphinx test key ",
        line: "sphinx test key 2 set\n",
        most_bytes: 1 << 20,
    };

    fn refused(bytes: &[u8]) -> KeyFileError {
        decode(Path::new("key"), &KIND, bytes, None).err().unwrap()
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn sealed(label: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let lock = Lock::generate(&mut UnwrapErr(SysRng));
        encode(&KIND, Some((lock, &passphrase("right"))), label, secret).unwrap()
    }

    #[test]
    fn a_container_gives_back_what_was_put_in() {
        for (label, secret) in [(&b""[..], &b"secret"[..]), (b"label", b"")] {
            let bytes = encode(&KIND, None, label, secret).unwrap();
            let content = decode(Path::new("key"), &KIND, &bytes, None).unwrap();
            assert_eq!((&content.label[..], &content.secret[..]), (label, secret));

            let bytes = sealed(label, secret);
            let right = passphrase("right");
            let content = decode(Path::new("key"), &KIND, &bytes, Some(&right)).unwrap();
            assert_eq!((&content.label[..], &content.secret[..]), (label, secret));
            let closed = inspect(Path::new("key"), &KIND, &bytes).unwrap();
            assert!(closed.is_sealed() && closed.label == label);
        }
    }

    #[test]
    fn a_sealed_container_shows_nothing_of_its_secret() {
        let bytes = sealed(b"label", b"a secret of many bytes");
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        assert!(matches!(refused(&bytes), KeyFileError::Sealed { .. }));
        let wrong = passphrase("wrong");
        let error = decode(Path::new("key"), &KIND, &bytes, Some(&wrong)).err().unwrap();
        assert!(matches!(error, KeyFileError::WrongPassphrase { .. }), "{error}");
        // The label is bound to it: with a checksum that is right, another is no label of this key.
        let mut other = bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
        let place = other.windows(5).position(|window| window == b"label").unwrap();
        other[place] ^= 1;
        let checksum = Sha256::digest(&other);
        other.extend_from_slice(&checksum);
        let right = passphrase("right");
        let error = decode(Path::new("key"), &KIND, &other, Some(&right)).err().unwrap();
        assert!(matches!(error, KeyFileError::WrongPassphrase { .. }), "{error}");
    }

    #[test]
    fn rejects_every_cut_and_every_changed_byte() {
        for whole in
            [encode(&KIND, None, b"label", b"secret").unwrap(), sealed(b"label", b"secret")]
        {
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
    }

    #[test]
    fn rejects_other_versions_and_protections_with_the_reason() {
        let later = Kind { line: "sphinx test key 3 set\n", ..KIND };
        let error = refused(&encode(&later, None, b"", b"secret").unwrap());
        assert_eq!(
            error.to_string(),
            "key file key begins with \"sphinx test key 3 set\", expected \"sphinx test key 2 set\": \
             use the release that made it"
        );
        let mut other = encode(&KIND, None, b"", b"sealed").unwrap().to_vec();
        other.truncate(other.len() - CHECKSUM_BYTES);
        other[KIND.line.len()] = 2;
        let checksum = Sha256::digest(&other);
        other.extend_from_slice(&checksum);
        let error = refused(&other);
        assert!(matches!(error, KeyFileError::Protection { got: 2, .. }), "{error}");
    }
}
