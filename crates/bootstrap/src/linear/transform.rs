//! Products of 64-bit words with small integers in Z[X]/(X^N + 1), by a number-theoretic transform.

use sphinx_linalg::POLYNOMIAL_SIZE;
use tfhe_ntt::prime::largest_prime_in_arithmetic_progression64;
use tfhe_ntt::prime64::Plan;

/// Bits of the pieces in which words are multiplied.
const PIECE_BITS: u32 = 22;
/// Pieces of a word.
const PIECES: usize = 3;

/// A transform modulo a 50-bit prime. Words are cut in three pieces of 22 bits, so that products
/// with polynomials whose absolute coefficients sum to at most [`Transform::LARGEST_NORM`] are
/// exact.
pub(crate) struct Transform {
    plan: Plan,
}

/// A polynomial of words, its pieces transformed.
pub(crate) struct TransformedWords {
    pieces: [Vec<u64>; PIECES],
}

impl Transform {
    /// Largest sum of absolute coefficients of a multiplier: 2^22 · 2^26 is below half the prime.
    pub(crate) const LARGEST_NORM: u64 = 1 << 26;

    /// The transform for N coefficients, if there is one.
    pub(crate) fn new() -> Option<Self> {
        let factor = 2 * POLYNOMIAL_SIZE as u64;
        let prime = largest_prime_in_arithmetic_progression64(factor, 1, 1 << 49, 1 << 50)?;
        Some(Self { plan: Plan::try_new(POLYNOMIAL_SIZE, prime)? })
    }

    /// Transforms a multiplier, given as `(exponent, coefficient)` of X^-exponent.
    pub(crate) fn reversed(&self, taps: impl Iterator<Item = (usize, i32)>) -> Vec<u64> {
        let prime = self.plan.modulus();
        let mut polynomial = vec![0u64; POLYNOMIAL_SIZE];
        for (exponent, coefficient) in taps {
            // X^-j = -X^(N - j).
            let (place, coefficient) = match exponent {
                0 => (0, i64::from(coefficient)),
                _ => (POLYNOMIAL_SIZE - exponent, -i64::from(coefficient)),
            };
            polynomial[place] = coefficient.rem_euclid(prime.cast_signed()).cast_unsigned();
        }
        self.plan.fwd(&mut polynomial);
        polynomial
    }

    /// Transforms a polynomial of words.
    pub(crate) fn words(&self, words: &[u64]) -> TransformedWords {
        let piece = |index: usize| {
            let shift = index as u32 * PIECE_BITS;
            let mut piece: Vec<u64> =
                words.iter().map(|word| (word >> shift) & ((1 << PIECE_BITS) - 1)).collect();
            self.plan.fwd(&mut piece);
            piece
        };
        TransformedWords { pieces: std::array::from_fn(piece) }
    }

    /// The sum of the products with each multiplier modulo 2^64. `scratch` has N words. Exact if
    /// the absolute coefficients of all multipliers sum to at most [`Transform::LARGEST_NORM`].
    pub(crate) fn product(
        &self,
        words: &[TransformedWords],
        multipliers: &[Vec<u64>],
        scratch: &mut [u64],
        product: &mut [u64],
    ) {
        let prime = self.plan.modulus();
        product.fill(0);
        for index in 0..PIECES {
            scratch.fill(0);
            for (words, multiplier) in words.iter().zip(multipliers) {
                self.plan.mul_accumulate(scratch, &words.pieces[index], multiplier);
            }
            self.plan.inv(scratch);
            self.plan.normalize(scratch);
            let shift = index as u32 * PIECE_BITS;
            for (sum, &residue) in product.iter_mut().zip(scratch.iter()) {
                let wrapped = if residue > prime / 2 { prime } else { 0 };
                *sum = sum.wrapping_add(residue.wrapping_sub(wrapped) << shift);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn products_are_exact_modulo_two_to_the_64_up_to_the_largest_norm() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let transform = Transform::new().unwrap();
        let mut words: Vec<u64> = (0..POLYNOMIAL_SIZE).map(|_| rng.random()).collect();
        words[..40].fill(u64::MAX);
        let large = (Transform::LARGEST_NORM / 40) as i32;
        let taps: Vec<(usize, i32)> = (0..40)
            .map(|tap| (tap * 51, if rng.random::<bool>() { large } else { -large }))
            .collect();
        let mut product = vec![0; POLYNOMIAL_SIZE];
        let mut scratch = vec![0; POLYNOMIAL_SIZE];
        // Twice, with the half of the weights each, as of an input in two ciphertexts.
        let (even, odd): (Vec<_>, Vec<_>) = taps.iter().partition(|tap| tap.0 % 2 == 0);
        let multipliers = [even, odd].map(|taps| transform.reversed(taps.into_iter()));
        let words_twice = [transform.words(&words), transform.words(&words)];
        transform.product(&words_twice, &multipliers, &mut scratch, &mut product);
        for (place, &got) in product.iter().enumerate() {
            let expected = taps.iter().fold(0u64, |sum, &(exponent, weight)| {
                let (from, sign) = (place + exponent, i64::from(weight));
                let wraps = from >= POLYNOMIAL_SIZE;
                let word = words[from % POLYNOMIAL_SIZE];
                let weight = if wraps { -sign } else { sign };
                sum.wrapping_add(word.wrapping_mul(weight.cast_unsigned()))
            });
            assert_eq!(got, expected, "coefficient {place}");
        }
    }
}
