//! Named profiles of training ciphertexts: key dimension and word length.
//!
//! A result modulo 2^t depends on its inputs modulo 2^t only, so both directions need just t bits.
//! The shorter the words, the smaller the dimension that is secure with the same noise.
//!
//! | profile | N | t | noise | bytes of a row of S slots, up / down |
//! |---|---|---|---|---|
//! | `GLWE_2048_T32` | 2048 | 32 | `TUniform(4)` | 16 + 4 S / 8192 + 4 S |
//! | `GLWE_1024_T24` | 1024 | 24 | `TUniform(4)` | 16 + 3 S / 3072 + 3 S |

use crate::parameters::{SLOTS, noise_bound_log2_at};
use crate::wire::Width;

/// A profile. Words lie in the top t bits of 32, as tfhe keeps them for such moduli: arithmetic
/// modulo 2^32 leaves the bits below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// N = 2048, t = 32: for wide layers.
    #[default]
    Glwe2048T32,
    /// N = 1024, t = 24: three quarters of the bytes of bodies, three eighths of those of masks.
    Glwe1024T24,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Glwe2048T32, Self::Glwe1024T24];

    /// How it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glwe2048T32 => "GLWE_2048_T32",
            Self::Glwe1024T24 => "GLWE_1024_T24",
        }
    }

    /// N: coefficients of a mask, a body and a key.
    pub const fn dimension(self) -> usize {
        match self {
            Self::Glwe2048T32 => 2048,
            Self::Glwe1024T24 => 1024,
        }
    }

    /// t: log2 of the modulus.
    pub const fn modulus_log2(self) -> u32 {
        match self {
            Self::Glwe2048T32 => 32,
            Self::Glwe1024T24 => 24,
        }
    }

    /// Bytes of a word on the wire.
    pub const fn width(self) -> Width {
        match self {
            Self::Glwe2048T32 => Width::Four,
            Self::Glwe1024T24 => Width::Three,
        }
    }

    /// Low bits of a 32-bit word that are not used.
    pub const fn unused_bits(self) -> u32 {
        u32::BITS - self.modulus_log2()
    }

    /// Bodies, and keys, of a block of [`SLOTS`] slots.
    pub const fn bodies(self) -> usize {
        SLOTS / self.dimension()
    }

    /// Exponent b of the noise `TUniform(b)` of fresh ciphertexts, in units of the modulus'
    /// smallest step, from tfhe's curve at 132 bits.
    pub fn noise_bound_log2(self) -> u32 {
        noise_bound_log2_at(self.dimension(), self.modulus_log2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_what_their_names_say_and_the_curve_allows() {
        for profile in Profile::ALL {
            let (n, t) = (profile.dimension(), profile.modulus_log2());
            assert_eq!(profile.name(), format!("GLWE_{n}_T{t}"));
            assert_eq!(8 * profile.width().bytes() as u32, t);
            assert_eq!(profile.bodies() * n, SLOTS);
            assert_eq!(profile.noise_bound_log2(), 4, "{profile:?}");
        }
        // A longer word needs more noise at N = 1024.
        assert!(noise_bound_log2_at(1024, 26) > 4);
    }
}
