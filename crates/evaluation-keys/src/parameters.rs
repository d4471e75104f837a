//! Parameter sets. What is chosen here are dimensions and decompositions; the noise of keys and
//! ciphertexts follows from them by tfhe's curves for 132 bits of security.

use std::fmt;

use sphinx_linalg::{POLYNOMIAL_SIZE, tuniform_variance};
use tfhe::core_crypto::commons::noise_formulas::secure_noise::{
    minimal_lwe_bound_for_132_bits_security_tuniform,
    minimal_lwe_variance_for_132_bits_security_tuniform,
};
use tfhe::core_crypto::prelude::{DecompositionBaseLog, DecompositionLevelCount, LweDimension};

/// A parameter set by name. Everything cryptographic about a one-shot recognition follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OneShotProfile {
    /// Activations of 3 to 5 bits, keys below 20 MB.
    #[default]
    Standard,
    /// No activations: keys below 0.4 MB that pack the logits of a linear network, and nothing
    /// else.
    Packing,
}

/// A decomposition of words in digits: `levels` digits of `base_log2` bits from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gadget {
    /// Log2 of the base B.
    pub base_log2: usize,
    /// Number of digits.
    pub levels: usize,
}

/// The numbers of a profile. The large key is the client's secret key: GLWE, k = 1, N = 2048,
/// binary, read as an LWE key of dimension 2048 where single samples are meant; its modulus is
/// 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Dimension n of the small key, under which samples are blindly rotated. Binary, modulo 2^32.
    pub small_dimension: usize,
    /// From the large key to the small one.
    pub key_switching: Gadget,
    /// Of the blind rotation.
    pub bootstrapping: Gadget,
    /// Of the automorphisms that pack samples into one ciphertext.
    pub packing: Gadget,
}

impl OneShotProfile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Packing];

    /// The name in requests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Packing => "packing",
        }
    }

    /// Whether its keys can evaluate activations.
    pub const fn bootstraps(self) -> bool {
        matches!(self, Self::Standard)
    }

    /// The profile called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The numbers behind the name.
    ///
    /// n = 759 is where the bound of the small key's noise steps down to 2^17 (it is a whole number
    /// of bits), so that the dimensions just below pay for it with twice the noise. Two-bit digits
    /// make the key switch cheap in noise: its variance grows with B² per level, and multiply-adds
    /// cost little next to a blind rotation. 2^23 is where the errors of decomposing and of
    /// multiplying the blind rotation's noise balance. The example `parameters` of
    /// `sphinx-bootstrap` prints what this comes to, and what neighbours would.
    pub const fn parameters(self) -> Parameters {
        match self {
            // Without bootstrapping two of the four are not used.
            Self::Standard | Self::Packing => Parameters {
                small_dimension: 759,
                key_switching: Gadget { base_log2: 2, levels: 7 },
                bootstrapping: Gadget { base_log2: 23, levels: 1 },
                packing: Gadget { base_log2: 15, levels: 2 },
            },
        }
    }
}

impl fmt::Display for OneShotProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Gadget {
    /// The base as tfhe wants it.
    pub const fn base(self) -> DecompositionBaseLog {
        DecompositionBaseLog(self.base_log2)
    }

    /// The number of levels as tfhe wants it.
    pub const fn level_count(self) -> DecompositionLevelCount {
        DecompositionLevelCount(self.levels)
    }
}

impl Parameters {
    /// Log2 of the modulus under which samples of the small key live.
    pub const SMALL_MODULUS_LOG2: u32 = 32;
    /// Bits of every word of the bootstrapping key that are sent; the rest is rounded away.
    pub const BOOTSTRAPPING_KEY_BITS: usize = 48;

    /// Exponent of the `TUniform` noise of everything encrypted under the small key, modulo 2^32.
    pub fn small_noise_bound_log2(&self) -> u32 {
        lwe_noise_bound_log2(self.small_dimension, Self::SMALL_MODULUS_LOG2)
    }

    /// Exponent of the `TUniform` noise of everything encrypted under the large key, modulo 2^64.
    pub fn large_noise_bound_log2(&self) -> u32 {
        lwe_noise_bound_log2(POLYNOMIAL_SIZE, 64)
    }

    /// Number of automorphisms that packing may need: log2 N.
    pub const fn automorphisms(&self) -> usize {
        POLYNOMIAL_SIZE.ilog2() as usize
    }
}

/// Exponent b of `TUniform(b)` for LWE samples of a dimension modulo 2^`modulus_log2`: the smallest
/// that tfhe's curves allow at 132 bits of security, by its bound and by its variance
/// ([`sphinx_linalg::noise_bound_log2`] says why both).
pub fn lwe_noise_bound_log2(dimension: usize, modulus_log2: u32) -> u32 {
    let dimension = LweDimension(dimension);
    let modulus = f64::from(modulus_log2).exp2();
    let bound = minimal_lwe_bound_for_132_bits_security_tuniform(dimension, modulus);
    let variance = minimal_lwe_variance_for_132_bits_security_tuniform(dimension, modulus).0
        * modulus
        * modulus;
    // The curve's variance is that of its bound and a floor of 2^4.44 more, which is a few parts in
    // 10^9 here.
    let enough = |bound: u32| tuniform_variance(bound) >= variance * (1.0 - 1e-6);
    (bound..modulus_log2).find(|&bound| enough(bound)).unwrap_or(modulus_log2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_never_below_the_curves() {
        let parameters = OneShotProfile::Standard.parameters();
        let small = (parameters.small_dimension, 32, parameters.small_noise_bound_log2());
        let large = (POLYNOMIAL_SIZE, 64, parameters.large_noise_bound_log2());
        for (dimension, modulus_log2, bound) in [small, large] {
            let (dimension, modulus) = (LweDimension(dimension), f64::from(modulus_log2).exp2());
            assert!(bound >= minimal_lwe_bound_for_132_bits_security_tuniform(dimension, modulus));
            let variance = minimal_lwe_variance_for_132_bits_security_tuniform(dimension, modulus);
            let got = tuniform_variance(bound) / modulus / modulus;
            assert!(got >= variance.0 * (1.0 - 1e-6), "{got} below {}", variance.0);
        }
    }

    #[test]
    fn the_small_dimension_is_the_least_with_its_noise() {
        let parameters = OneShotProfile::Standard.parameters();
        let bound = parameters.small_noise_bound_log2();
        let below = lwe_noise_bound_log2(parameters.small_dimension - 1, 32);
        assert_eq!(below, bound + 1);
    }

    #[test]
    fn names_are_read_back() {
        for profile in OneShotProfile::ALL {
            assert_eq!(OneShotProfile::from_name(profile.name()), Some(profile));
        }
        assert_eq!(OneShotProfile::from_name("fast"), None);
    }
}
