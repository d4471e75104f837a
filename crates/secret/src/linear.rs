//! An image in the coefficients of ciphertexts modulo 2^32, under a key of its own, and the
//! products that come back. What is encrypted is known with its noise, so that products can be
//! checked over the integers.

use rand::CryptoRng;
use sphinx_evaluation_keys::{LinearQuery, LinearResult, QueryLayout};
use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, expand_mask};
use zeroize::Zeroizing;

use crate::encrypt::Scratch;
use crate::key::SecretKey;
use crate::one_shot::OneShotError;

impl SecretKey {
    /// Encrypts integers, one per scalar of a layout whose scalars lie without gaps, and returns
    /// them with the noise that they got.
    ///
    /// # Errors
    /// [`OneShotError::Input`] for another number of integers.
    pub fn encrypt_linear(
        &self,
        layout: &QueryLayout,
        integers: &[i32],
        rng: &mut impl CryptoRng,
    ) -> Result<(LinearQuery, Zeroizing<Vec<i32>>), OneShotError> {
        let (got, expected) = (integers.len(), layout.len());
        if got != expected {
            return Err(OneShotError::Input { got, expected });
        }
        let (mut query, mut noisy) =
            (LinearQuery::empty(), Zeroizing::new(Vec::with_capacity(integers.len())));
        let mut message = Zeroizing::new(vec![0u32; POLYNOMIAL_SIZE]);
        let (mut scratch, mut transform) =
            (Scratch::default(), Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
        for integers in integers.chunks(layout.share()) {
            message.fill(0);
            let words = message.iter_mut().zip(integers);
            words.for_each(|(word, integer)| *word = integer.cast_unsigned());
            let mut seed = [0; SEED_BYTES];
            rng.fill_bytes(&mut seed);
            let mut noise_key = Zeroizing::new([0; SEED_BYTES]);
            rng.fill_bytes(noise_key.as_mut());
            let body = self.encrypt_row(&message[..], Seed(seed), &noise_key, &mut scratch);
            query.push(seed, &body[..integers.len()]);
            let mut phase = Zeroizing::new(body.to_vec());
            let mut mask = vec![0; POLYNOMIAL_SIZE];
            expand_mask(Seed(seed), &mut mask);
            self.decrypt_words(&mask, &mut phase[..], &mut transform);
            noisy.extend(phase[..integers.len()].iter().map(|word| word.cast_signed()));
        }
        Ok((query, noisy))
    }

    /// The products of a network's one layer: centred integers, noise included. Nothing derived
    /// from them may be released before they have been checked.
    ///
    /// # Errors
    /// [`OneShotError::Samples`] if there is not a whole sample per output.
    pub fn decrypt_linear(
        &self,
        result: &LinearResult,
        outputs: usize,
    ) -> Result<Zeroizing<Vec<i32>>, OneShotError> {
        let (masks, bodies) = (result.masks.len(), result.bodies.len());
        let wrong = OneShotError::Samples { masks, bodies, outputs };
        let (masks, bodies) = result.samples(outputs).ok_or(wrong)?;
        let key = self.bits();
        let phases = masks.chunks_exact(POLYNOMIAL_SIZE).zip(bodies).map(|(mask, body)| {
            let terms = mask.iter().zip(key).map(|(word, &bit)| word.wrapping_mul(u32::from(bit)));
            body.wrapping_sub(terms.fold(0, u32::wrapping_add)).cast_signed()
        });
        Ok(Zeroizing::new(phases.collect()))
    }
}
