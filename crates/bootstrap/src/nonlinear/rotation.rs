//! Blind rotations of several samples with one pass over the bootstrapping key.

use sphinx_linalg::{POLYNOMIAL_SIZE, ROW_WORDS};
use tfhe::core_crypto::fft_impl::fft64::crypto::ggsw::{
    add_external_product_assign, add_external_product_assign_scratch,
};
use tfhe::core_crypto::prelude::{
    CiphertextModulus, CiphertextModulusLog, ComputationBuffers, GlweCiphertextMutView,
    GlweCiphertextView, GlweSize, LweCiphertextView, ModulusSwitchedLweCiphertext, PolynomialSize,
    lwe_ciphertext_centered_binary_modulus_switch,
};

use crate::control::Control;
use crate::kernel::switched_words;
use crate::prepared::{PreparedKeys, PreparedLookup};
use crate::sample::{SAMPLE_WORDS, extract};

/// Buffers of one worker.
pub(super) struct Rotation<'a> {
    keys: &'a PreparedKeys,
    lookup: &'a PreparedLookup,
    /// One GLWE ciphertext per sample.
    accumulators: Vec<u64>,
    difference: Vec<u64>,
    buffers: ComputationBuffers,
}

impl<'a> Rotation<'a> {
    /// Buffers for up to `count` samples.
    pub(super) fn new(keys: &'a PreparedKeys, lookup: &'a PreparedLookup, count: usize) -> Self {
        let mut buffers = ComputationBuffers::new();
        let size = PolynomialSize(POLYNOMIAL_SIZE);
        let scratch =
            add_external_product_assign_scratch::<u64>(GlweSize(2), size, keys.fft().as_view());
        buffers.resize(scratch.unaligned_bytes_required());
        Self {
            keys,
            lookup,
            accumulators: vec![0; count * ROW_WORDS],
            difference: vec![0; ROW_WORDS],
            buffers,
        }
    }

    /// Rotates `table` by every switched sample and extracts the first coefficients. What `outputs`
    /// holds after a cancellation means nothing.
    pub(super) fn run(
        &mut self,
        switched: &[u32],
        table: &[u64],
        outputs: &mut [u64],
        control: &Control<'_>,
    ) {
        let parameters = self.keys.profile().parameters();
        let rounded: Vec<Vec<usize>> = switched
            .chunks_exact(switched_words(&parameters))
            .map(|words| round(&words[..=parameters.small_dimension]))
            .collect();
        for (accumulator, rounded) in self.accumulators.chunks_exact_mut(ROW_WORDS).zip(&rounded) {
            let (mask, body) = accumulator.split_at_mut(POLYNOMIAL_SIZE);
            mask.fill(0);
            // Times X^-b: 2N - b steps forward.
            let back = 2 * POLYNOMIAL_SIZE - rounded[parameters.small_dimension];
            rotate(table, back % (2 * POLYNOMIAL_SIZE), body, |rotated, _| rotated);
        }
        let size = PolynomialSize(POLYNOMIAL_SIZE);
        let native = CiphertextModulus::new_native();
        let key = self.lookup.bootstrapping();
        for (index, ggsw) in key.into_ggsw_iter().enumerate() {
            if control.is_cancelled() {
                return;
            }
            let accumulators = self.accumulators.chunks_exact_mut(ROW_WORDS);
            for (accumulator, rounded) in accumulators.zip(&rounded) {
                let steps = rounded[index];
                if steps == 0 {
                    continue;
                }
                // acc + bit · (X^a · acc - acc), the product by decomposition.
                let halves = accumulator.chunks_exact(POLYNOMIAL_SIZE);
                for (from, to) in halves.zip(self.difference.chunks_exact_mut(POLYNOMIAL_SIZE)) {
                    rotate(from, steps, to, u64::wrapping_sub);
                }
                add_external_product_assign(
                    GlweCiphertextMutView::from_container(accumulator, size, native),
                    ggsw,
                    GlweCiphertextView::from_container(&self.difference[..], size, native),
                    self.keys.fft().as_view(),
                    self.buffers.stack(),
                );
            }
        }
        for (accumulator, output) in
            self.accumulators.chunks_exact(ROW_WORDS).zip(outputs.chunks_exact_mut(SAMPLE_WORDS))
        {
            let (mask, body) = accumulator.split_at(POLYNOMIAL_SIZE);
            extract(mask, body[0], 0, output);
        }
    }
}

/// Mask and body rounded to multiples of 1/2N of the torus. The mean of the mask's rounding error
/// under a random binary key is taken from the body, and half a step, so that phases in [j, j + 1)
/// / 2N become j (tfhe's centred modulus switch).
fn round(words: &[u32]) -> Vec<usize> {
    let log = CiphertextModulusLog(POLYNOMIAL_SIZE.ilog2() as usize + 1);
    let sample = LweCiphertextView::from_container(words, CiphertextModulus::new_native());
    let switched = lwe_ciphertext_centered_binary_modulus_switch::<u32, usize, _>(sample, log);
    switched.mask().chain(std::iter::once(switched.body())).collect()
}

/// Writes `combine(X^steps · from, from)` coefficient by coefficient, 0 ≤ steps < 2N.
#[inline(always)]
fn rotate(from: &[u64], steps: usize, to: &mut [u64], combine: impl Fn(u64, u64) -> u64) {
    let size = from.len();
    let shift = steps % size;
    // Coefficients that come around the end change their sign, and all do after N steps.
    let negate_rest = steps >= size;
    let (wrapped, rest) = (&from[size - shift..], &from[..size - shift]);
    let (to_wrapped, to_rest) = to.split_at_mut(shift);
    let (old_wrapped, old_rest) = from.split_at(shift);
    let parts =
        [(to_wrapped, wrapped, old_wrapped, !negate_rest), (to_rest, rest, old_rest, negate_rest)];
    for (to, rotated, old, negate) in parts {
        let words = to.iter_mut().zip(rotated.iter().zip(old));
        if negate {
            words.for_each(|(to, (&word, &old))| *to = combine(word.wrapping_neg(), old));
        } else {
            words.for_each(|(to, (&word, &old))| *to = combine(word, old));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_is_multiplication_by_a_monomial() {
        let from: Vec<u64> = (1..=8).collect();
        let mut to = vec![0; 8];
        for steps in 0..16 {
            rotate(&from, steps, &mut to, |rotated, _| rotated);
            for (place, &word) in from.iter().enumerate() {
                let target = place + steps;
                let expected = if target / 8 % 2 == 1 { word.wrapping_neg() } else { word };
                assert_eq!(to[target % 8], expected, "X^{steps}");
            }
        }
    }
}
