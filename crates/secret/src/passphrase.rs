//! What people remember, and how it protects a file: Argon2id, then XChaCha20-Poly1305.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use zeroize::Zeroizing;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// Salt, nonce, and the costs in 4 bytes each.
pub(crate) const ROOM_BYTES: usize = SALT_BYTES + NONCE_BYTES + 3 * 4;
/// Bounds of what a file may ask for: a gigabyte, or minutes.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;

/// A passphrase. Not shown by `Debug`, wiped on drop.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// A passphrase that protects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase is empty")]
pub struct EmptyPassphrase;

impl Passphrase {
    /// A passphrase; every byte of it counts.
    ///
    /// # Errors
    /// [`EmptyPassphrase`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, EmptyPassphrase> {
        if text.is_empty() { Err(EmptyPassphrase) } else { Ok(Self(text)) }
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How a passphrase becomes a key, and where in the cipher it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lock {
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    /// Kibibytes.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Lock {
    /// A fresh one at RFC 9106's second recommended costs: 64 MiB, 3 passes, 4 lanes.
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        Self { salt, nonce, memory: 64 << 10, passes: 3, lanes: 4 }
    }

    pub(crate) fn to_bytes(self) -> [u8; ROOM_BYTES] {
        let mut bytes = [0; ROOM_BYTES];
        let costs = [self.memory, self.passes, self.lanes].map(u32::to_le_bytes).concat();
        let parts = self.salt.iter().chain(&self.nonce).chain(&costs);
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
        bytes
    }

    /// `None` for costs that no file of this program has: somebody else's would be asked of this
    /// machine.
    pub(crate) fn of_bytes(bytes: &[u8; ROOM_BYTES]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk()?;
        let (nonce, costs) = rest.split_first_chunk()?;
        let ([memory, passes, lanes], []) = costs.as_chunks::<4>() else { return None };
        let [memory, passes, lanes] = [memory, passes, lanes].map(|cost| u32::from_le_bytes(*cost));
        let bounded = memory <= MOST_MEMORY
            && (1..=MOST_PASSES).contains(&passes)
            && (1..=MOST_LANES).contains(&lanes);
        let lock = Self { salt: *salt, nonce: *nonce, memory, passes, lanes };
        (bounded && memory >= 8 * lanes).then_some(lock)
    }

    /// The ciphertext of `secret`, 16 bytes longer, bound to what `associated` says.
    pub(crate) fn seal(
        &self,
        passphrase: &Passphrase,
        associated: &[u8],
        secret: &[u8],
    ) -> Option<Vec<u8>> {
        let payload = Payload { msg: secret, aad: associated };
        self.cipher(passphrase)?.encrypt(&XNonce::from(self.nonce), payload).ok()
    }

    /// `None` for another passphrase, or for what was sealed elsewhere.
    pub(crate) fn open(
        &self,
        passphrase: &Passphrase,
        associated: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: sealed, aad: associated };
        let opened = self.cipher(passphrase)?.decrypt(&XNonce::from(self.nonce), payload).ok()?;
        Some(Zeroizing::new(opened))
    }

    fn cipher(&self, passphrase: &Passphrase) -> Option<XChaCha20Poly1305> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(32)).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon2.hash_password_into(passphrase.0.as_bytes(), &self.salt, key.as_mut()).ok()?;
        Some(XChaCha20Poly1305::new((&*key).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    #[test]
    fn costs_out_of_bounds_are_no_lock() {
        let lock = Lock { salt: [1; 16], nonce: [2; 24], memory: 64, passes: 1, lanes: 1 };
        assert_eq!(Lock::of_bytes(&lock.to_bytes()), Some(lock));
        for changed in [
            Lock { memory: MOST_MEMORY + 1, ..lock },
            Lock { memory: 7, ..lock },
            Lock { passes: 0, ..lock },
            Lock { passes: MOST_PASSES + 1, ..lock },
            Lock { lanes: 0, ..lock },
            Lock { lanes: MOST_LANES + 1, memory: 1024, ..lock },
        ] {
            assert_eq!(Lock::of_bytes(&changed.to_bytes()), None, "{changed:?}");
        }
    }

    #[test]
    fn only_the_passphrase_opens_and_only_there() {
        let lock = Lock { salt: [1; 16], nonce: [2; 24], memory: 64, passes: 1, lanes: 1 };
        let sealed = lock.seal(&passphrase("right"), b"here", b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + 16);
        let opened = lock.open(&passphrase("right"), b"here", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"secret");
        assert!(lock.open(&passphrase("Right"), b"here", &sealed).is_none());
        assert!(lock.open(&passphrase("right"), b"there", &sealed).is_none());
        let other = Lock { salt: [3; 16], ..lock };
        assert!(other.open(&passphrase("right"), b"here", &sealed).is_none());
        assert!(Passphrase::new(Zeroizing::new(String::new())).is_err());
        assert_eq!(format!("{:?}", passphrase("right")), "Passphrase(..)");
    }
}
