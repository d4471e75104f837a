//! HKDF-SHA-256 (RFC 5869).

use hkdf::Hkdf;
use sha2::Sha256;

/// Fills `out` from `secret`. The salt says what kind of secret it is, `info` (its parts one after
/// the other) what the result is for: results of different salts or infos say nothing about each
/// other, nor about the secret.
///
/// # Panics
/// For more than 8160 bytes: a fault of this crate, whose results have 32 and 256.
pub(crate) fn expand(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let hkdf = Hkdf::<Sha256>::new(Some(salt), secret);
    #[expect(clippy::expect_used, reason = "the length is a constant at every call")]
    hkdf.expand_multi_info(info, out).expect("no more than 255 blocks");
}

/// A text or bytes as a part of an info in which they end where their length says.
pub(crate) fn counted(text: &str) -> Vec<u8> {
    let length = text.len() as u32;
    [length.to_le_bytes().as_slice(), text.as_bytes()].concat()
}
