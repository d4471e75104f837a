//! The noise of every step, as variances on the torus (the modulus is 1).

use sphinx_evaluation_keys::{Gadget, Parameters};
use sphinx_linalg::{POLYNOMIAL_SIZE, noise_bound_log2, tuniform_variance};
use tfhe::core_crypto::commons::noise_formulas::lwe_programmable_bootstrap::pbs_variance_132_bits_security_tuniform_fft_mul;
use tfhe::core_crypto::prelude::{GlweDimension, LweDimension, PolynomialSize};

/// Log2 of the modulus of everything under the large key.
const MODULUS_LOG2: i32 = 64;
/// Bits of a double's mantissa, with which the blind rotation computes.
const MANTISSA_BITS: f64 = 53.0;

/// The parts of the noise that do not depend on a network. Variances, the modulus being 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseBudget {
    /// A fresh coefficient of a query: `TUniform` from the curve at N = 2048, and rounding its body
    /// to 32 bits.
    pub query: f64,
    /// A bias: fresh, and its body rounded to 48 bits.
    pub bias: f64,
    /// Added by the key switch to the small key.
    pub key_switching: f64,
    /// Added by rounding a sample's words to 2N steps, the mean of the error removed.
    pub modulus_switching: f64,
    /// What a blind rotation leaves, whatever went in.
    pub bootstrapping: f64,
    /// Added by packing one sample.
    pub packing: f64,
    /// Added by rounding the answer.
    pub answer: f64,
}

impl NoiseBudget {
    /// The noise under a parameter set.
    ///
    /// The blind rotation is tfhe's formula (`noise_formulas`, of the 132-bit curves). The rest,
    /// with N = 2048, secret bits of mean 1/2 and rounding errors uniform in a step s, each of
    /// variance s²/12:
    ///
    /// - key switch: tfhe's formula but for the digits' mean square, which is exact here. With base
    ///   4, tfhe's is an eighth too large, and so would every simulation be;
    /// - modulus switching: n mask words of step 1/2N, each times a bit less its mean (variance
    ///   1/4), and the body;
    /// - bootstrapping, beyond tfhe's: the key's words are rounded to 48 bits, which adds s²/12 to
    ///   the variance of each body;
    /// - packing: log2 N times, a ciphertext is added to its image under an automorphism, which
    ///   doubles the message and so quadruples the noise so far; Σ 4^i over N doublings is N²/3;
    /// - answer: mask words of 24 bits for the N/2 secret bits that are one, the body of 32 bits.
    pub fn new(parameters: &Parameters) -> Self {
        let torus = f64::from(-2 * MODULUS_LOG2).exp2();
        let size = POLYNOMIAL_SIZE as f64;
        let modulus = f64::from(MODULUS_LOG2).exp2();
        let n = parameters.small_dimension as f64;
        let fresh = tuniform_variance(parameters.large_noise_bound_log2()) * torus;

        let gadget = parameters.key_switching;
        let switching_key = tuniform_variance(parameters.small_noise_bound_log2())
            * f64::from(Parameters::SMALL_MODULUS_LOG2).exp2().powi(-2);
        let digits: f64 = digit_mean_squares(gadget).sum();
        let key_switching = size * digits * switching_key
            + size / 2.0 * rounding((gadget.base_log2 * gadget.levels) as i32)
            + rounding(Parameters::SMALL_MODULUS_LOG2 as i32);
        let gadget = parameters.bootstrapping;
        let rotation = pbs_variance_132_bits_security_tuniform_fft_mul(
            LweDimension(parameters.small_dimension),
            GlweDimension(1),
            PolynomialSize(POLYNOMIAL_SIZE),
            gadget.base(),
            gadget.level_count(),
            MANTISSA_BITS,
            modulus,
        )
        .0;
        let digits = digit_variance(gadget.base_log2);
        let rounded_key = n
            * gadget.levels as f64
            * 2.0
            * size
            * digits
            * rounding(Parameters::BOOTSTRAPPING_KEY_BITS as i32);

        let gadget = parameters.packing;
        let depth = (gadget.base_log2 * gadget.levels) as i32;
        let automorphism = gadget.levels as f64 * size * digit_variance(gadget.base_log2) * fresh
            + size / 2.0 * rounding(depth);
        Self {
            query: tuniform_variance(noise_bound_log2(64)) * torus + rounding(32),
            bias: tuniform_variance(noise_bound_log2(64)) * torus + rounding(48),
            key_switching,
            modulus_switching: (n / 4.0 + 1.0) * rounding(POLYNOMIAL_SIZE.ilog2() as i32 + 1),
            bootstrapping: rotation + rounded_key,
            packing: automorphism * size * size / 3.0,
            answer: size / 2.0 * rounding(24) + rounding(32),
        }
    }

    /// The noise of a network whose first layer has integer weights of norm `first`, and the last
    /// of later layers, if there are any, of norm `later` (both of the integers that multiply
    /// ciphertexts), biases scaled by `bias_factor`.
    pub fn network(&self, first: f64, later: Option<f64>, bias_factor: f64) -> NetworkNoise {
        let bias = bias_factor * bias_factor * self.bias;
        let first_layer = first * first * self.query + bias;
        let of_later = |norm: f64| norm * norm * self.bootstrapping + bias;
        let combination = later.map_or(first_layer, of_later);
        NetworkNoise {
            first_layer,
            lookup: first_layer + self.key_switching + self.modulus_switching,
            combination,
            logits: combination + self.packing + self.answer,
        }
    }

    /// What the table of an activation is looked up with, whatever the noise before: key switch and
    /// rounding.
    pub fn lookup(&self) -> f64 {
        self.key_switching + self.modulus_switching
    }
}

/// The noise at the points of an evaluation that depend on its weights. Variances, the modulus
/// being 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkNoise {
    /// Of a neuron of the first layer, bias included.
    pub first_layer: f64,
    /// With which the first activation looks its table up.
    pub lookup: f64,
    /// Of a neuron of a later layer, before its own activation; of the first if there is no other.
    pub combination: f64,
    /// Of a decrypted logit.
    pub logits: f64,
}

/// Variance of a digit of a balanced decomposition: (B² + 2) / 12, as in tfhe's formulas. They take
/// residues as uniform, which for large bases they are.
fn digit_variance(base_log2: usize) -> f64 {
    ((2 * base_log2) as f64).exp2() / 12.0 + 1.0 / 6.0
}

/// Mean square of every digit of uniform words, the last level first, as tfhe decomposes them.
///
/// A residue of B/2 becomes the digit -B/2 and carries one if the next residue is B/2 or more, and
/// is B/2 otherwise. A next residue of B/2 thus becomes B/2 + 1. So the next residue is B/2 with
/// probability p' = (1 - p) / B, p being that of this one; all others but 0 keep theirs of 1/B.
fn digit_mean_squares(gadget: Gadget) -> impl Iterator<Item = f64> {
    let base = (gadget.base_log2 as f64).exp2();
    let half = base / 2.0;
    let below = (half - 1.0) * half * (2.0 * half - 1.0) / 3.0 / base;
    let halves = std::iter::successors(Some(1.0 / base), move |p| Some((1.0 - p) / base));
    halves.take(gadget.levels).map(move |p| below + p * half * half)
}

/// Variance of rounding to `bits` bits below the modulus.
fn rounding(bits: i32) -> f64 {
    f64::from(-2 * bits).exp2() / 12.0
}

/// Probability that a standard normal variable exceeds `deviations` in magnitude: how often a
/// neuron crosses a threshold that is this far away.
///
/// Error at most 1.2e-7 relative (Numerical Recipes, 2nd ed., §6.2, the Chebyshev fit of erfc).
pub fn standard_normal_tail(deviations: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = deviations.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let polynomial = COEFFICIENTS.iter().rev().fold(0.0, |sum, c| sum * t + c);
    t * (polynomial - x * x).exp()
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::commons::noise_formulas::lwe_keyswitch::keyswitch_additive_variance_132_bits_security_tuniform;
    use tfhe::core_crypto::prelude::SignedDecomposer;

    use sphinx_evaluation_keys::OneShotProfile;

    use super::*;

    #[test]
    fn the_standard_profile_keeps_three_bits_in_and_ten_bits_out() {
        let budget = NoiseBudget::new(&OneShotProfile::Standard.parameters());
        // Half the torus stands for 16 units of a pre-activation: a tenth of a unit.
        assert!(budget.lookup().sqrt() * 32.0 < 0.1, "{}", budget.lookup().sqrt().log2());
        assert!(
            budget.bootstrapping.sqrt().log2() < -14.5,
            "{}",
            budget.bootstrapping.sqrt().log2()
        );
        // Packing and rounding are lost in what a combination of ten outputs has.
        assert!(budget.packing + budget.answer < budget.bootstrapping);
    }

    #[test]
    fn digits_have_the_mean_squares_that_are_predicted() {
        use rand::{RngExt, SeedableRng};
        const WORDS: usize = 400_000;
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(3);
        for (base_log2, levels) in [(2, 7), (3, 5), (15, 2)] {
            let gadget = Gadget { base_log2, levels };
            let decomposer = SignedDecomposer::<u64>::new(gadget.base(), gadget.level_count());
            let mut sums = vec![0.0; levels];
            for _ in 0..WORDS {
                for (sum, term) in sums.iter_mut().zip(decomposer.decompose(rng.random())) {
                    *sum += (term.value().cast_signed() as f64).powi(2);
                }
            }
            for (sum, predicted) in sums.into_iter().zip(digit_mean_squares(gadget)) {
                let ratio = sum / WORDS as f64 / predicted;
                assert!((ratio - 1.0).abs() < 0.01, "{gadget:?}: {ratio} of the predicted");
            }
        }
    }

    #[test]
    fn the_key_switch_has_a_little_less_noise_than_tfhe_says() {
        let parameters = OneShotProfile::Standard.parameters();
        let gadget = parameters.key_switching;
        let upper = keyswitch_additive_variance_132_bits_security_tuniform(
            LweDimension(POLYNOMIAL_SIZE),
            LweDimension(parameters.small_dimension),
            gadget.base(),
            gadget.level_count(),
            64f64.exp2(),
            32f64.exp2(),
        );
        let ratio = NoiseBudget::new(&parameters).key_switching / upper.0;
        assert!((0.85..1.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn tails_are_those_of_the_normal_distribution() {
        for (deviations, tail) in
            [(0.0, 1.0), (1.0, 0.317_310_5), (3.0, 2.699_796e-3), (6.0, 1.973_175e-9)]
        {
            let got = standard_normal_tail(deviations);
            assert!((got / tail - 1.0).abs() < 1e-6, "{deviations}: {got}");
        }
    }
}
