//! Secret material is refused before any of it is stored: by the names it carries, and by how it
//! looks.

use crate::error::VaultError;

/// How secret material begins, or what it names itself near its start (tfhe writes the type before
/// the content).
const SECRETS: [(&[u8], &str); 3] = [
    (b"sphinx secret key", "a key file of Sphinx"),
    (b"SecretKey", "a secret key of tfhe"),
    (b"ClientKey", "a client key of tfhe"),
];

/// Most occurrences of one byte value in a public encryption key, which is uniformly distributed
/// but for the choice of its seed: 64 are expected, and 256 come with a probability of 2^-228. The
/// words of a secret key are bits, so that seven of their eight bytes are alike.
const MAX_ALIKE: usize = 256;

/// Refuses what says of itself that it is secret.
pub(crate) fn refuse_by_name(bytes: &[u8]) -> Result<(), VaultError> {
    let says = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    match SECRETS.iter().find(|(name, _)| says(name)) {
        Some(&(_, what)) => Err(VaultError::Secret { what }),
        None => Ok(()),
    }
}

/// Refuses a public encryption key that does not look random. How often which byte occurs is not
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
