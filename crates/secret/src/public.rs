//! Public key material derived from a secret key.

use rand::CryptoRng;
use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, expand_mask, noise_bound_log2};
use zeroize::Zeroizing;

use crate::encrypt::Scratch;
use crate::key::SecretKey;

/// A public encryption key in wire form: a seeded GLWE encryption of zero modulo 2^64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicMaterial {
    /// 16 bytes of seed, then N little-endian words of 8 bytes.
    pub bytes: Vec<u8>,
}

impl SecretKey {
    /// A fresh public encryption key. It also lets the owner check that a secret key belongs to a
    /// registration.
    pub fn public_material(&self, rng: &mut impl CryptoRng) -> PublicMaterial {
        let mut seed = [0u8; SEED_BYTES];
        rng.fill_bytes(&mut seed);
        let mut noise_key = Zeroizing::new([0u8; SEED_BYTES]);
        rng.fill_bytes(noise_key.as_mut());
        let mut scratch = Scratch::default();
        let zero = [0u64; POLYNOMIAL_SIZE];
        let body = self.encrypt_row(&zero, Seed(seed), &noise_key, &mut scratch);
        let words = body.iter().flat_map(|word| word.to_le_bytes());
        PublicMaterial { bytes: seed.into_iter().chain(words).collect() }
    }

    /// Whether `material` was made with this key: its phase is nothing but noise.
    pub fn matches(&self, material: &PublicMaterial) -> bool {
        let Some((seed, body)) = material.bytes.split_first_chunk::<SEED_BYTES>() else {
            return false;
        };
        let (body, rest) = body.as_chunks::<8>();
        if body.len() != POLYNOMIAL_SIZE || !rest.is_empty() {
            return false;
        }
        let mut mask = vec![0u64; POLYNOMIAL_SIZE];
        expand_mask(Seed(*seed), &mut mask);
        let mut phase: Zeroizing<Vec<u64>> =
            Zeroizing::new(body.iter().map(|word| u64::from_le_bytes(*word)).collect());
        self.decrypt_words(&mask, &mut phase, &mut Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
        let bound = 1i64 << noise_bound_log2(64);
        phase.iter().all(|&word| word.cast_signed().abs() <= bound)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn material_matches_its_own_key_only() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let key = SecretKey::generate(&mut rng).unwrap();
        let other = SecretKey::generate(&mut rng).unwrap();
        let material = key.public_material(&mut rng);
        assert!(key.matches(&material));
        assert!(!other.matches(&material));
        assert!(!key.matches(&PublicMaterial { bytes: material.bytes[..100].to_vec() }));
    }
}
