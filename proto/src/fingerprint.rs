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

    /// Expected value from `printf '\x01\0\0\0\x03\0\0\0abc' | sha256sum`.
    #[test]
    fn fingerprint_is_frozen() {
        let got = Fingerprint::new(ParameterSet::Glwe2048V1, KeyKind::Identity, b"abc");
        assert_eq!(
            got.to_string(),
            "1f35c257d21d7003c9f1a5ee3b640f7232481c2746aaf44524b8a737ed00abd4"
        );
    }
}
