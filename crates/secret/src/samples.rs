//! Biases for recognition in one shot.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{BIAS_SCALE_LOG2, BIAS_WIDTH, POLYNOMIAL_SIZE, SEED_BYTES, Seed, pack};
use zeroize::Zeroizing;

use crate::encrypt::Scratch;
use crate::key::SecretKey;

/// Encrypted biases in wire form: of a ciphertext each, the seed of the mask and what a sample
/// needs of the body.
#[derive(Clone, PartialEq, Eq)]
pub struct SeededSamples {
    /// 16 bytes per bias.
    pub seeds: Vec<u8>,
    /// One word of 6 bytes per bias.
    pub bodies: Vec<u8>,
}

impl SecretKey {
    /// Encrypts biases, multiples of 2^-16, as coefficient 0 of fresh ciphertexts modulo 2^64 at
    /// 2^48 per unit: what [`sphinx_linalg::EncryptedBiases::from_samples`] reads. About 0.1 ms
    /// each.
    pub fn encrypt_biases(&self, biases: &[f32], rng: &mut impl CryptoRng) -> SeededSamples {
        let word = BIAS_WIDTH.bytes();
        let mut seeds = vec![0; biases.len() * SEED_BYTES];
        rng.fill_bytes(&mut seeds);
        let mut noise_keys = Zeroizing::new(vec![[0; SEED_BYTES]; biases.len()]);
        noise_keys.iter_mut().for_each(|key| rng.fill_bytes(key));
        let mut bodies = vec![0; biases.len() * word];
        let secrets = seeds.as_chunks::<SEED_BYTES>().0.par_iter().zip(noise_keys.par_iter());
        let messages = biases.par_iter().zip(secrets);
        let room = || (Scratch::default(), Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
        bodies.par_chunks_exact_mut(word).zip(messages).for_each_init(
            room,
            |(scratch, message), (out, (&bias, (&seed, noise_key)))| {
                let scaled = f64::from(bias) * f64::from(BIAS_SCALE_LOG2).exp2();
                message[0] = (scaled as i64).cast_unsigned();
                let body = self.encrypt_row(message, Seed(seed), noise_key, scratch);
                pack(&body[..1], BIAS_WIDTH, out);
            },
        );
        SeededSamples { seeds, bodies }
    }
}

#[cfg(test)]
mod tests {
    use sphinx_linalg::{EncryptedBiases, noise_bound_log2};

    use super::*;

    #[test]
    fn biases_are_in_coefficient_zero_and_never_encrypted_alike() {
        let mut rng = rand::rng();
        let key = SecretKey::generate(&mut rng).unwrap();
        let biases = [0.0, 1.5, -4.0, 2f32.powi(-16), 0.0];
        let [once, again] = [(); 2].map(|()| key.encrypt_biases(&biases, &mut rng));
        assert_ne!(once.seeds, again.seeds);
        let read = EncryptedBiases::from_samples(&once.seeds, &once.bodies, biases.len()).unwrap();
        for (index, bias) in biases.iter().enumerate() {
            let (mask, body) = read.row(index).split_at(POLYNOMIAL_SIZE);
            let mut phase = Zeroizing::new(body.to_vec());
            key.decrypt_words(mask, &mut phase, &mut Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
            let exact = (f64::from(*bias) * f64::from(BIAS_SCALE_LOG2).exp2()) as i64;
            let error = phase[0].cast_signed() - exact;
            // Noise of encryption, and of rounding to 6 bytes.
            let most = (1i64 << noise_bound_log2(u64::BITS)) + (1 << 15);
            assert!(error.abs() <= most, "{index}: {error} of at most {most}");
        }
    }
}
