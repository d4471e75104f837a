//! The parameter set `GLWE_2048_V1`: sizes, moduli and noise of every ciphertext.
//!
//! GLWE with one mask polynomial (RLWE), N = 2048, binary secret. One secret key is used under two
//! moduli, q = 2^32 for training and q = 2^64 for tickets and biases; the noise of each is read
//! from tfhe's curve for 132 bits of security at that modulus.

use tfhe::core_crypto::commons::noise_formulas::secure_noise::{
    minimal_glwe_bound_for_132_bits_security_tuniform,
    minimal_glwe_variance_for_132_bits_security_tuniform,
};
use tfhe::core_crypto::prelude::{GlweDimension, PolynomialSize};

/// Coefficients of a polynomial, N.
pub const POLYNOMIAL_SIZE: usize = 2048;

/// Samples that one ciphertext carries: coefficient b of the message is sample b of the batch.
pub const SLOTS: usize = POLYNOMIAL_SIZE;

/// Words of one ciphertext: mask then body.
pub const ROW_WORDS: usize = 2 * POLYNOMIAL_SIZE;

/// Bytes of the seed that stands for the mask of a fresh ciphertext.
pub const SEED_BYTES: usize = 16;

/// Log2 of the integers per unit of a bias in its ciphertext modulo 2^64.
pub const BIAS_SCALE_LOG2: u32 = 48;

/// Log2 of the steps per unit on which biases lie. Biases are multiples of 2^-16, so that they are
/// decrypted exactly whatever noise their ciphertexts have gathered.
pub const BIAS_GRID_LOG2: u32 = 16;

/// Exponent b of the noise of fresh ciphertexts modulo 2^`modulus_log2`: uniform on [-2^b, 2^b]
/// with half weight at both ends (tfhe's `TUniform`).
///
/// The smallest b that tfhe's curve allows at 132 bits of security. The curve's bound and its
/// variance differ for small moduli (the bound lacks the floor that keeps noise from vanishing
/// below one integer step), so both are asked and the stricter answer is taken.
pub fn noise_bound_log2(modulus_log2: u32) -> u32 {
    noise_bound_log2_at(POLYNOMIAL_SIZE, modulus_log2)
}

/// The same for keys of another dimension.
pub fn noise_bound_log2_at(dimension: usize, modulus_log2: u32) -> u32 {
    let (dimension, size) = (GlweDimension(1), PolynomialSize(dimension));
    let modulus = f64::from(modulus_log2).exp2();
    let bound = minimal_glwe_bound_for_132_bits_security_tuniform(dimension, size, modulus);
    let variance = minimal_glwe_variance_for_132_bits_security_tuniform(dimension, size, modulus).0
        * modulus
        * modulus;
    // The curve's variance at q = 2^64 is that of its own bound, up to rounding.
    let enough = |bound: u32| tuniform_variance(bound) >= variance * (1.0 - 1e-9);
    (bound..modulus_log2).find(|&bound| enough(bound)).unwrap_or(modulus_log2)
}

/// Variance of `TUniform(b)` in integer steps squared: (2^(2b+1) + 1) / 6.
pub fn tuniform_variance(bound_log2: u32) -> f64 {
    (f64::from(2 * bound_log2 + 1).exp2() + 1.0) / 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_never_falls_below_the_curve() {
        for modulus_log2 in [32, 64] {
            let modulus = f64::from(modulus_log2).exp2();
            let needed = minimal_glwe_variance_for_132_bits_security_tuniform(
                GlweDimension(1),
                PolynomialSize(POLYNOMIAL_SIZE),
                modulus,
            )
            .0 * modulus
                * modulus;
            let bound = noise_bound_log2(modulus_log2);
            assert!(tuniform_variance(bound) >= needed * (1.0 - 1e-9), "2^{modulus_log2}");
            assert!(tuniform_variance(bound - 1) < needed, "2^{modulus_log2}: larger than needed");
        }
    }
}
