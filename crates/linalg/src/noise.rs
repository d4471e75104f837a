//! Predicted noise of decrypted results.

use crate::parameters::{POLYNOMIAL_SIZE, noise_bound_log2, tuniform_variance};
use crate::wire::Width;
use crate::word::Word;

/// The parts of a result's noise, as variances in integer steps squared modulo the word's modulus.
///
/// For a result Σ w_j · c_j of fresh ciphertexts, sent home with `mask` and `body` bytes per word:
/// each fresh ciphertext carries the noise of encryption and of rounding its body; both grow by
/// ‖w‖₂². Rounding the mask of the result to a step s adds s²/12 for each of the N/2 (expected)
/// secret bits that are one, rounding its body adds s²/12 once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResultNoise {
    /// From the encryption of the inputs.
    pub encryption: f64,
    /// From rounding the uploaded bodies.
    pub upload: f64,
    /// From rounding the result's mask.
    pub mask: f64,
    /// From rounding the result's body.
    pub body: f64,
}

impl ResultNoise {
    /// Noise of a result whose weights have the squared norm `weight_norm_squared`.
    pub fn new<W: Word>(weight_norm_squared: f64, upload: Width, mask: Width, body: Width) -> Self {
        let rounding = |width: Width| {
            let step = width.step::<W>();
            // Rounding to a step of one changes nothing.
            if step > 1.0 { step * step / 12.0 } else { 0.0 }
        };
        Self {
            encryption: weight_norm_squared * tuniform_variance(noise_bound_log2(W::BITS)),
            upload: weight_norm_squared * rounding(upload),
            mask: rounding(mask) * POLYNOMIAL_SIZE as f64 / 2.0,
            body: rounding(body),
        }
    }

    /// Variance of the whole.
    pub fn variance(&self) -> f64 {
        self.encryption + self.upload + self.mask + self.body
    }

    /// Standard deviation of the whole, in integer steps.
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }
}
