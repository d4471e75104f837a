//! Secret material is refused before any of it is stored: by the names it carries, and by how it
//! looks.

use crate::error::VaultError;

/// How secret material begins, or what it names itself near its start (tfhe writes the type before
/// the content).
const SECRETS: [(&[u8], &str); 4] = [
    (b"sphinx secret key", "a key file of Sphinx"),
    (b"sphinx read key", "a read key of Sphinx"),
    (b"SecretKey", "a secret key of tfhe"),
    (b"ClientKey", "a client key of tfhe"),
];

/// Most occurrences of one byte value in an identity, whose 32 bytes are uniformly distributed: 13
/// come with a probability of 2^-67. The words of a secret key are bits, so that seven of their
/// eight bytes are alike. Secret bytes that are random themselves look like an identity: those the
/// client keeps apart by type.
const MAX_ALIKE: usize = 12;

/// Refuses what says of itself that it is secret.
pub(crate) fn refuse_by_name(bytes: &[u8]) -> Result<(), VaultError> {
    let says = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    match SECRETS.iter().find(|(name, _)| says(name)) {
        Some(&(_, what)) => Err(VaultError::Secret { what }),
        None => Ok(()),
    }
}

/// Refuses an identity that does not look random. How often which byte occurs is not
/// told: of a secret key it would say how many of its bits are set.
pub(crate) fn refuse_by_looks(material: &[u8]) -> Result<(), VaultError> {
    let mut counts = [0usize; 256];
    for &byte in material {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    if counts.iter().all(|&count| count <= MAX_ALIKE) {
        Ok(())
    } else {
        Err(VaultError::NotRandom { bytes: material.len(), limit: MAX_ALIKE })
    }
}
