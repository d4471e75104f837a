//! The secret key.

use rand::CryptoRng;
use sphinx_linalg::POLYNOMIAL_SIZE;
use zeroize::Zeroizing;

use crate::product::KeyProduct;

/// A binary GLWE secret key of one polynomial of 2048 coefficients.
///
/// It lives in memory only: it cannot be printed, copied or serialised by accident, and no file
/// holds it ([`crate::RootKey`] is what is kept). The coefficients and their transform are wiped
/// when the key is dropped.
pub struct SecretKey {
    coefficients: Zeroizing<Vec<u8>>,
    pub(crate) product: KeyProduct,
}

/// Why bytes are no secret key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key has N coefficients.
    #[error("{got} coefficients, a secret key has {expected}")]
    Length {
        /// Coefficients found.
        got: usize,
        /// N.
        expected: usize,
    },
    /// Coefficients are 0 or 1.
    #[error("coefficient {index} is not binary")]
    NotBinary {
        /// Index of the coefficient.
        index: usize,
    },
    /// No transform exists for the parameter set; a fault of this library.
    #[error("no number-theoretic transform for polynomials of {size} coefficients")]
    NoTransform {
        /// N.
        size: usize,
    },
    /// A key could not be derived; a fault of this library.
    #[error("no key could be derived from the secret key")]
    Derivation,
}

impl SecretKey {
    /// A fresh uniform key: 256 bytes of `rng`, which has to be a generator for secrets.
    ///
    /// # Errors
    /// [`KeyError::NoTransform`] only.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0u8; POLYNOMIAL_SIZE / 8]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bits(bytes.as_ref())
    }

    /// A key from its coefficients, each 0 or 1.
    ///
    /// # Errors
    /// [`KeyError`] if there are not N of them or one is not binary.
    pub fn from_coefficients(coefficients: &[u8]) -> Result<Self, KeyError> {
        let expected = POLYNOMIAL_SIZE;
        if coefficients.len() != expected {
            return Err(KeyError::Length { got: coefficients.len(), expected });
        }
        if let Some(index) = coefficients.iter().position(|&bit| bit > 1) {
            return Err(KeyError::NotBinary { index });
        }
        let product =
            KeyProduct::new(coefficients).ok_or(KeyError::NoTransform { size: POLYNOMIAL_SIZE })?;
        Ok(Self { coefficients: Zeroizing::new(coefficients.to_vec()), product })
    }

    pub(crate) fn from_bits(bits: &[u8]) -> Result<Self, KeyError> {
        let coefficients: Zeroizing<Vec<u8>> = Zeroizing::new(
            bits.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1)).collect(),
        );
        Self::from_coefficients(&coefficients)
    }

    /// The coefficients, 0 or 1.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.coefficients
    }

    /// The coefficients as words modulo 2^64.
    pub(crate) fn words(&self) -> Zeroizing<Vec<u64>> {
        Zeroizing::new(self.coefficients.iter().map(|&bit| u64::from(bit)).collect())
    }

    pub(crate) fn to_bits(&self) -> Zeroizing<Vec<u8>> {
        let pack = |bits: &[u8]| bits.iter().rev().fold(0u8, |byte, &bit| byte << 1 | bit);
        Zeroizing::new(self.coefficients.chunks(8).map(pack).collect())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let key = SecretKey::from_coefficients(&[1; POLYNOMIAL_SIZE]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }

    #[test]
    fn rejects_wrong_lengths_and_values() {
        let short = SecretKey::from_coefficients(&[0; 7]).unwrap_err();
        assert_eq!(short, KeyError::Length { got: 7, expected: POLYNOMIAL_SIZE });
        let mut coefficients = [0; POLYNOMIAL_SIZE];
        coefficients[5] = 2;
        let not_binary = SecretKey::from_coefficients(&coefficients).unwrap_err();
        assert_eq!(not_binary, KeyError::NotBinary { index: 5 });
    }
}
