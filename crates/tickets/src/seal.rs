//! Encryption at rest.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;
/// Hashed with the key into what tells one key from another.
const CHECK_LABEL: &[u8] = b"sphinx ticket store, which key 1";

/// The key that a store is sealed under; `SecretKey::derive` makes one from the user's key. Wiped
/// on drop.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    /// A key of 32 uniformly random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Tells one key from another, and nothing else about it.
    pub(crate) fn check(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(CHECK_LABEL);
        hash.update(self.0.as_slice());
        hex::encode(&hash.finalize()[..16])
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// A record of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Record {
    States,
    Ticket(u32),
}

/// Seals and unseals the records of blocks.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    pub check: String,
}

pub(crate) type Nonce = [u8; NONCE_BYTES];

/// A generator for one piece of work, of fresh bytes from the operating system: a process that was
/// copied or resumed must repeat neither a nonce nor a name.
pub(crate) fn fresh_rng() -> ChaCha20Rng {
    ChaCha20Rng::from_rng(&mut UnwrapErr(SysRng))
}

/// As [`nonce`], of fresh bytes from the operating system.
pub(crate) fn fresh_nonce() -> Nonce {
    nonce(&mut fresh_rng())
}

/// A fresh nonce: 192 random bits never meet again.
pub(crate) fn nonce(rng: &mut ChaCha20Rng) -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    nonce
}

impl Sealer {
    pub fn new(key: &StoreKey) -> Self {
        Self { cipher: XChaCha20Poly1305::new((&*key.0).into()), check: key.check() }
    }

    /// nonce ‖ ciphertext ‖ tag. `None` only beyond 256 GB.
    pub fn seal(
        &self,
        header: &[u8; 32],
        record: Record,
        nonce: Nonce,
        plain: &[u8],
    ) -> Option<Vec<u8>> {
        let aad = associated(header, record);
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// `None` if the bytes are not what was sealed for this place.
    pub fn unseal(
        &self,
        header: &[u8; 32],
        record: Record,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let aad = associated(header, record);
        let payload = Payload { msg: sealed, aad: &aad };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

fn associated(header: &[u8; 32], record: Record) -> [u8; 37] {
    let (kind, number) = match record {
        Record::States => (0, 0),
        Record::Ticket(number) => (1, number),
    };
    let mut bytes = [0; 37];
    bytes[..32].copy_from_slice(header);
    bytes[32] = kind;
    bytes[33..].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&StoreKey::new(Zeroizing::new([byte; 32])))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_under_its_key_only() {
        let (header, record) = ([7; 32], Record::Ticket(5));
        let sealed = sealer(1).seal(&header, record, [9; 24], b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(sealer(1).unseal(&header, record, &sealed).unwrap().as_slice(), b"secret");
        assert!(sealer(2).unseal(&header, record, &sealed).is_none());
        assert!(sealer(1).unseal(&[8; 32], record, &sealed).is_none());
        assert!(sealer(1).unseal(&header, Record::Ticket(6), &sealed).is_none());
        assert!(sealer(1).unseal(&header, Record::States, &sealed).is_none());
        for index in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[index] ^= 1;
            assert!(sealer(1).unseal(&header, record, &flipped).is_none(), "byte {index}");
            assert!(sealer(1).unseal(&header, record, &sealed[..index]).is_none());
        }
    }

    #[test]
    fn keys_are_told_apart_and_never_shown() {
        assert_ne!(sealer(1).check, sealer(2).check);
        assert_eq!(format!("{:?}", StoreKey::new(Zeroizing::new([65; 32]))), "StoreKey(..)");
    }
}
