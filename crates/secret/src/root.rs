//! The root of a user's keys: 32 bytes from which everything lasting is derived.

use std::path::Path;

use rand::CryptoRng;
use sphinx_linalg::POLYNOMIAL_SIZE;
use zeroize::Zeroizing;

use crate::container::{self, KeyFileError, Kind, Place};
use crate::hkdf::expand;
use crate::key::{KeyError, SecretKey};
use crate::passphrase::Passphrase;
use crate::read_key::{ModelName, ReadKey};

const ROOT_BYTES: usize = 32;
/// Coefficients of a GLWE key, one bit each.
const COEFFICIENT_BYTES: usize = POLYNOMIAL_SIZE / 8;

const FILE: Kind = Kind {
    name: "secret key file",
    family: "sphinx secret key ",
    line: "sphinx secret key 2 glwe-2048-v1\n",
    most_bytes: 1 << 20,
};
/// What a file of version 1 begins with, before the bits of its coefficients and a checksum.
const FIRST_HEADER: &[u8] = b"sphinx secret key 1 glwe-2048-v1";
/// What the root is derived for from the coefficients of version 1.
const FIRST_SALT: &[u8] = b"sphinx secret key 1 glwe-2048-v1, root";
const SALT: &[u8] = b"sphinx root key 2";

/// The root of a user's keys, 32 random bytes.
///
/// It cannot be printed, copied or serialised by accident: the only ways
/// out are [`RootKey::save`] and what is derived by purpose. Wiped on drop.
pub struct RootKey {
    root: Zeroizing<[u8; ROOT_BYTES]>,
    /// Of a key of version 1, whose evaluation keys encrypt them: the one-shot key.
    first: Option<Zeroizing<[u8; COEFFICIENT_BYTES]>>,
}

/// What the key vault knows a key by: 32 public bytes that say nothing about the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 32]);

impl RootKey {
    /// A fresh root: 32 bytes of `rng`, which has to be a generator for secrets.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut root = Zeroizing::new([0; ROOT_BYTES]);
        rng.fill_bytes(root.as_mut());
        Self { root, first: None }
    }

    /// Writes the root to a new file with mode 0600, whole or not at all, and makes it durable.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is a file already, [`KeyFileError::Io`] otherwise.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        self.write(path, Place::New, None)
    }

    /// As [`RootKey::save`], sealed by a passphrase: whoever finds the file has to guess it, at
    /// 64 MiB and three passes of Argon2id a guess. The identity can be read without it.
    ///
    /// # Errors
    /// As [`RootKey::save`].
    pub fn save_sealed(&self, path: &Path, passphrase: &Passphrase) -> Result<(), KeyFileError> {
        self.write(path, Place::New, Some(passphrase))
    }

    /// Writes the root in the place of its own file, sealed or not; after a crash there is the old
    /// one or the new one.
    ///
    /// # Errors
    /// [`KeyFileError::Io`].
    pub fn replace(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), KeyFileError> {
        self.write(path, Place::Same, passphrase)
    }

    fn write(
        &self,
        path: &Path,
        place: Place,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), KeyFileError> {
        let mut secret = Zeroizing::new(Vec::with_capacity(ROOT_BYTES + COEFFICIENT_BYTES));
        secret.extend_from_slice(self.root.as_slice());
        if let Some(first) = &self.first {
            secret.extend_from_slice(first.as_slice());
        }
        let identity = self.identity().0;
        let label = if passphrase.is_some() { identity.as_slice() } else { &[] };
        container::write(path, place, &FILE, label, &secret, passphrase)
    }

    /// Reads a key file that no passphrase seals. One of version 1 ("sphinx secret key 1
    /// glwe-2048-v1") holds coefficients: its root is derived from them.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read, may be read by others, is sealed, or does not
    /// hold a key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::open(path, None)
    }

    /// Reads a key file, by its passphrase if it is sealed.
    ///
    /// # Errors
    /// [`KeyFileError::Sealed`] without the passphrase that is needed,
    /// [`KeyFileError::WrongPassphrase`] with another; others as [`RootKey::load`].
    pub fn open(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, KeyFileError> {
        let bytes = container::read(path, &FILE)?;
        let damaged = || KeyFileError::Damaged { path: path.to_owned() };
        if bytes.starts_with(FIRST_HEADER) {
            let content = container::checked(&bytes).ok_or_else(damaged)?;
            return Self::of_first(&content[FIRST_HEADER.len()..]).ok_or_else(damaged);
        }
        let content = container::decode(path, &FILE, &bytes, passphrase)?;
        let (root, first) = content.secret.split_first_chunk::<ROOT_BYTES>().ok_or_else(damaged)?;
        let first = match first {
            [] => None,
            first => Some(Zeroizing::new(first.try_into().map_err(|_| damaged())?)),
        };
        Ok(Self { root: Zeroizing::new(*root), first })
    }

    /// Whether a key file is sealed by a passphrase; that it is whole is looked at as well.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read, may be read by others or is damaged.
    pub fn is_sealed(path: &Path) -> Result<bool, KeyFileError> {
        let bytes = container::read(path, &FILE)?;
        if bytes.starts_with(FIRST_HEADER) {
            let damaged = || KeyFileError::Damaged { path: path.to_owned() };
            return container::checked(&bytes).map(|_| false).ok_or_else(damaged);
        }
        Ok(container::inspect(path, &FILE, &bytes)?.is_sealed())
    }

    /// The identity of the key in a file, for which no passphrase is needed.
    ///
    /// # Errors
    /// As [`RootKey::is_sealed`].
    pub fn identity_of(path: &Path) -> Result<Identity, KeyFileError> {
        if !Self::is_sealed(path)? {
            return Ok(Self::load(path)?.identity());
        }
        let bytes = container::read(path, &FILE)?;
        let damaged = || KeyFileError::Damaged { path: path.to_owned() };
        let label = container::inspect(path, &FILE, &bytes)?.label.try_into();
        Ok(Identity(label.map_err(|_| damaged())?))
    }

    /// Of the coefficients of a key of version 1, packed from the lowest bit on.
    fn of_first(coefficients: &[u8]) -> Option<Self> {
        let first = Zeroizing::new(coefficients.try_into().ok()?);
        let mut root = Zeroizing::new([0; ROOT_BYTES]);
        expand(FIRST_SALT, coefficients, &[b"root"], root.as_mut());
        Some(Self { root, first: Some(first) })
    }

    /// What the key vault registers. Always the same; the root cannot be found from it.
    pub fn identity(&self) -> Identity {
        let mut identity = [0; 32];
        expand(SALT, self.root.as_slice(), &[b"identity"], &mut identity);
        Identity(identity)
    }

    /// The GLWE key of recognition in one shot, which evaluation keys are made of. Always the same;
    /// for a file of version 1 its coefficients, so that registered evaluation keys stay valid.
    ///
    /// # Errors
    /// [`KeyError::NoTransform`] only.
    pub fn one_shot_key(&self) -> Result<SecretKey, KeyError> {
        if let Some(first) = &self.first {
            return SecretKey::from_bits(first.as_slice());
        }
        let mut bits = Zeroizing::new([0; COEFFICIENT_BYTES]);
        expand(SALT, self.root.as_slice(), &[b"one-shot glwe-2048-v1"], bits.as_mut());
        SecretKey::from_bits(bits.as_slice())
    }

    /// A symmetric key for a purpose. Always the same for the same root and purpose; keys for
    /// different purposes say nothing about each other, nor about the root.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        self.expand(&[b"purpose ", purpose.as_bytes()])
    }

    /// What seals and checks one model, and can be given to who only predicts with it.
    pub fn read_key(&self, model: &ModelName) -> ReadKey {
        let name = model.to_bytes();
        let sealing = self.expand(&[b"read key, sealing ", &name]);
        let checking = self.expand(&[b"read key, checking ", &name]);
        ReadKey::new(model.clone(), sealing, checking)
    }

    fn expand(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        expand(SALT, self.root.as_slice(), info, derived.as_mut());
        derived
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let root = RootKey { root: Zeroizing::new([65; 32]), first: None };
        assert_eq!(format!("{root:?}"), "RootKey(..)");
    }

    /// Computed by another implementation of HKDF.
    #[test]
    fn the_one_shot_key_of_a_known_root_is_known() {
        let root =
            RootKey { root: Zeroizing::new(std::array::from_fn(|i| i as u8 + 1)), first: None };
        let bits = root.one_shot_key().unwrap().to_bits();
        let hash = Sha256::digest(bits.as_slice());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "523a4fb86debec3c39cc61bf9677e2af561ed8cd0a03f97f17a96239e90a8504");
    }

    #[test]
    fn a_key_of_version_one_keeps_its_coefficients() {
        let coefficients: Vec<u8> = (0..COEFFICIENT_BYTES).map(|index| index as u8).collect();
        let root = RootKey::of_first(&coefficients).unwrap();
        assert_eq!(root.one_shot_key().unwrap().to_bits().as_slice(), coefficients);
        assert!(RootKey::of_first(&coefficients[1..]).is_none());
    }
}
