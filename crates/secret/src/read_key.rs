//! The keys of one model: what seals its state, and what checks the answers about it.

use std::path::Path;

use rand::{CryptoRng, Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::container::{self, KeyFileError, Kind, Place};
use crate::hkdf::{counted, expand};
use crate::seal::{self, SealError};

const FILE: Kind = Kind {
    name: "read key file",
    family: "sphinx read key ",
    line: "sphinx read key 1 glwe-2048-v1\n",
    most_bytes: 1 << 20,
};
const SALT: &[u8] = b"sphinx read key 1";
const KEY_BYTES: usize = 32;
const INCARNATION_BYTES: usize = 16;
/// The prime that challenges are below, 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

/// Which model a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// Whose model it is.
    pub tenant: String,
    /// Its name.
    pub model: String,
    /// What tells it from a deleted model of the same name.
    pub incarnation: [u8; INCARNATION_BYTES],
}

impl ModelName {
    /// Tenant and model, each after its length in 4 bytes, and the incarnation: different names
    /// have different bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [counted(&self.tenant).as_slice(), &counted(&self.model), &self.incarnation].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tenant, bytes) = text(bytes)?;
        let (model, bytes) = text(bytes)?;
        Some(Self { tenant, model, incarnation: bytes.try_into().ok()? })
    }
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, bytes) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

/// The read key of a model: it opens and seals what the server keeps for its owner, and checks what
/// the server computes. It is given to a device or a colleague who only predicts; nothing else of
/// the root follows from it. Wiped on drop.
pub struct ReadKey {
    model: ModelName,
    sealing: Zeroizing<[u8; KEY_BYTES]>,
    checking: Zeroizing<[u8; KEY_BYTES]>,
}

impl ReadKey {
    pub(crate) fn new(
        model: ModelName,
        sealing: Zeroizing<[u8; KEY_BYTES]>,
        checking: Zeroizing<[u8; KEY_BYTES]>,
    ) -> Self {
        Self { model, sealing, checking }
    }

    /// The model that it belongs to.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// Seals bytes (XChaCha20-Poly1305 with a fresh nonce of `rng`) for a place that `associated`
    /// describes: version byte, 24 bytes of nonce, ciphertext, 16 bytes of tag.
    ///
    /// # Panics
    /// For more than 256 GB.
    pub fn seal(&self, associated: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        seal::seal(&self.sealing, associated, plaintext, rng)
    }

    /// Opens what was sealed under this key for the same place.
    ///
    /// # Errors
    /// [`SealError`] if it was not, or was changed since.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        seal::open(&self.sealing, associated, sealed)
    }

    /// `count` secret numbers for the check of a stage's products, uniform in [0, 2^61 - 1): a
    /// stream of ChaCha20, of which 61 bits a number are kept and the one value too many is left
    /// out. Always the same for the same key, version and stage; those of others say nothing about
    /// them.
    pub fn challenge(&self, version: u64, stage: u32, count: usize) -> Zeroizing<Vec<u64>> {
        let (version, stage) = (version.to_le_bytes(), stage.to_le_bytes());
        let mut seed = Zeroizing::new([0; 32]);
        expand(SALT, self.checking.as_slice(), &[b"challenge ", &version, &stage], seed.as_mut());
        let mut stream = ChaCha20Rng::from_seed(*seed);
        let mut numbers = Zeroizing::new(Vec::with_capacity(count));
        while numbers.len() < count {
            let number = stream.next_u64() >> 3;
            if number < PRIME {
                numbers.push(number);
            }
        }
        numbers
    }

    /// A symmetric key for a purpose, for a device that has nothing else. Always the same for the
    /// same key and purpose; keys for different purposes say nothing about each other, nor about
    /// this one.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        let info: &[&[u8]] = &[b"purpose ", purpose.as_bytes()];
        expand(SALT, self.sealing.as_slice(), info, derived.as_mut());
        derived
    }

    /// Writes the key to a new file with mode 0600 that names its model, whole or not at all, and
    /// makes it durable.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is a file already, [`KeyFileError::Io`] otherwise.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let mut secret = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        secret.extend_from_slice(self.sealing.as_slice());
        secret.extend_from_slice(self.checking.as_slice());
        container::write(path, Place::New, &FILE, &self.model.to_bytes(), &secret, None)
    }

    /// Reads the file of a read key.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read, may be read by others, or does not hold a read
    /// key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let content = container::decode(path, &FILE, &container::read(path, &FILE)?, None)?;
        let damaged = || KeyFileError::Damaged { path: path.to_owned() };
        let model = ModelName::from_bytes(&content.label).ok_or_else(damaged)?;
        match content.secret.as_chunks::<KEY_BYTES>() {
            ([sealing, checking], []) => {
                Ok(Self::new(model, Zeroizing::new(*sealing), Zeroizing::new(*checking)))
            }
            _ => Err(damaged()),
        }
    }
}

impl std::fmt::Debug for ReadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadKey").field("model", &self.model).finish_non_exhaustive()
    }
}
