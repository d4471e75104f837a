//! Keys for other purposes, derived from the secret key.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::{KeyError, SecretKey};

/// Keeps what is derived apart from anything else that the coefficients are ever hashed into.
const SALT: &[u8] = b"sphinx secret key 1 glwe-2048-v1, derived keys";

impl SecretKey {
    /// A symmetric key for a purpose: HKDF-SHA-256 (RFC 5869) of the coefficients, with `purpose`
    /// as its info. Always the same for the same key and purpose; keys for different purposes say
    /// nothing about each other, nor about the secret key.
    ///
    /// # Errors
    /// [`KeyError::Derivation`] only.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(SALT), &self.to_bits())
            .expand(purpose.as_bytes(), derived.as_mut())
            .map_err(|_| KeyError::Derivation)?;
        Ok(derived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sphinx_linalg::POLYNOMIAL_SIZE;

    #[test]
    fn derived_keys_depend_on_key_and_purpose_only() {
        let zeros = SecretKey::from_coefficients(&[0; POLYNOMIAL_SIZE]).unwrap();
        let mut coefficients = [0; POLYNOMIAL_SIZE];
        coefficients[2047] = 1;
        let other = SecretKey::from_coefficients(&coefficients).unwrap();
        let derived = zeros.derive("a").unwrap();
        assert_eq!(derived, zeros.derive("a").unwrap());
        assert_ne!(derived, zeros.derive("b").unwrap());
        assert_ne!(derived, other.derive("a").unwrap());
        // HKDF-SHA-256 with 256 zero bytes as its input, computed with another implementation.
        let expected = "be6a45969412164db3481b901b8bdbcfd64b18fd701fc02aa8f04850a4309f04";
        assert_eq!(derived.map(|byte| format!("{byte:02x}")).concat(), expected);
    }
}
