//! Sealed bytes: kept by others, who can neither read nor change nor move them.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Why sealed bytes cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Shorter than what seals nothing.
    #[error("{got} sealed bytes, expected at least {expected}")]
    Short {
        /// Bytes found.
        got: usize,
        /// Bytes of a version, a nonce and a tag.
        expected: usize,
    },
    /// Another form of sealing.
    #[error("sealed bytes of version {got}, expected {expected}: use the release that sealed them")]
    Version {
        /// The version found.
        got: u8,
        /// The version known.
        expected: u8,
    },
    /// The tag is wrong.
    #[error("the sealed bytes are not what was sealed under this key for this place")]
    Refused,
}

/// version ‖ nonce ‖ ciphertext ‖ tag.
pub(crate) fn seal(
    key: &Zeroizing<[u8; 32]>,
    associated: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    // Fresh: 192 random bits never meet again.
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: plaintext, aad: &bound(associated) };
    let sealed = XChaCha20Poly1305::new((&**key).into()).encrypt(&XNonce::from(nonce), payload);
    #[expect(clippy::expect_used, reason = "only beyond 256 GB, which no memory here holds")]
    let sealed = sealed.expect("no more than 2^32 blocks");
    [&[VERSION], nonce.as_slice(), &sealed].concat()
}

pub(crate) fn open(
    key: &Zeroizing<[u8; 32]>,
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (got, expected) = (sealed.len(), 1 + NONCE_BYTES + TAG_BYTES);
    let short = SealError::Short { got, expected };
    let (&version, rest) = sealed.split_first().ok_or_else(|| short.clone())?;
    if version != VERSION {
        return Err(SealError::Version { got: version, expected: VERSION });
    }
    let (nonce, ciphertext) =
        rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| short.clone())?;
    if ciphertext.len() < TAG_BYTES {
        return Err(short);
    }
    let payload = Payload { msg: ciphertext, aad: &bound(associated) };
    let opened = XChaCha20Poly1305::new((&**key).into()).decrypt(&XNonce::from(*nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| SealError::Refused)
}

/// The version counts as associated too, so that no bytes have a meaning in two of them.
fn bound(associated: &[u8]) -> Vec<u8> {
    [&[VERSION], associated].concat()
}
