//! A key's fingerprint: what a person compares between client and key vault.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::v1::{KeyKind, ParameterSet};

/// SHA-256 over the parameter set and the kind, each as a little-endian 32-bit word, then the
/// material. Shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of key material.
    pub fn new(parameter_set: ParameterSet, kind: KeyKind, material: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update((parameter_set as i32).to_le_bytes());
        hash.update((kind as i32).to_le_bytes());
        hash.update(material);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected value from `printf '\x01\0\0\0\x01\0\0\0abc' | sha256sum`.
    #[test]
    fn fingerprint_is_frozen() {
        let got = Fingerprint::new(ParameterSet::Glwe2048V1, KeyKind::PublicEncryption, b"abc");
        assert_eq!(
            got.to_string(),
            "f6e27d15b8c3413c1dc7c6a027be41b8955e61d71a980fa6f6009b906388ce61"
        );
    }
}
