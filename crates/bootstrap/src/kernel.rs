//! The key switch of many samples at once: small digits × the key-switching key, modulo 2^32.

use pulp::{Simd, WithSimd};
use sphinx_evaluation_keys::Parameters;
use tfhe::core_crypto::prelude::SignedDecomposer;

use crate::sample::SAMPLE_WORDS;

/// Columns of a block of the key: two of the widest vectors.
pub(crate) const COLUMNS: usize = 32;
/// Samples that are multiplied together: each word of the key is loaded once for eight of them, and
/// their partial sums for a block's columns stay in registers.
const PANEL: usize = 8;
/// Vectors of partial sums per sample; `PANEL × REGISTERS` leave room in the 32 registers of
/// AVX-512.
const REGISTERS: usize = 2;
/// Rows of a block that all panels use before the next are read: 128 kB, which stay in a core's
/// cache.
const TILE: usize = 1024;

/// Words of a switched sample: n + 1, rounded up to whole blocks.
pub(crate) fn switched_words(parameters: &Parameters) -> usize {
    (parameters.small_dimension + 1).next_multiple_of(COLUMNS)
}

/// Switches samples (2049 words modulo 2^64 each) to the small key: n + 1 words modulo 2^32 and
/// padding each.
///
/// `key` is `[block][digit of the large key][COLUMNS]`. All samples share one pass over it, whose
/// 44 MB would otherwise be read from memory for each.
pub(crate) fn multiply_digits(parameters: &Parameters, key: &[u32], samples: &[u64]) -> Vec<u32> {
    let words = switched_words(parameters);
    let panels: Vec<Vec<[u32; PANEL]>> = samples
        .chunks(PANEL * SAMPLE_WORDS)
        .map(|samples| panel_digits(parameters, samples))
        .collect();
    let rows = key.len() / words;
    let mut sums = vec![0u32; panels.len() * PANEL * words];
    pulp::Arch::new().dispatch(Products { key, rows, panels: &panels, sums: &mut sums, words });
    sums.truncate(samples.len() / SAMPLE_WORDS * words);
    let bodies = samples.chunks_exact(SAMPLE_WORDS).map(|sample| sample[SAMPLE_WORDS - 1]);
    for (sums, body) in sums.chunks_exact_mut(words).zip(bodies) {
        let word = &mut sums[parameters.small_dimension];
        *word = word.wrapping_add((body.wrapping_add(1 << 31) >> 32) as u32);
    }
    sums
}

/// The digits of up to [`PANEL`] samples' masks, by digit then sample. The last level comes first,
/// as in tfhe's keys. Negated: the mask's part is subtracted.
fn panel_digits(parameters: &Parameters, samples: &[u64]) -> Vec<[u32; PANEL]> {
    let gadget = parameters.key_switching;
    let decomposer = SignedDecomposer::<u64>::new(gadget.base(), gadget.level_count());
    let mut digits = vec![[0; PANEL]; (SAMPLE_WORDS - 1) * gadget.levels];
    for (index, sample) in samples.chunks_exact(SAMPLE_WORDS).enumerate() {
        let mask = &sample[..SAMPLE_WORDS - 1];
        for (rows, &word) in digits.chunks_exact_mut(gadget.levels).zip(mask) {
            for (row, term) in rows.iter_mut().zip(decomposer.decompose(word)) {
                row[index] = (term.value() as u32).wrapping_neg();
            }
        }
    }
    digits
}

/// The products of all panels with the key.
struct Products<'a> {
    key: &'a [u32],
    rows: usize,
    panels: &'a [Vec<[u32; PANEL]>],
    /// Per panel, [`PANEL`] samples of `words` words each.
    sums: &'a mut [u32],
    words: usize,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (block, key) in self.key.chunks_exact(self.rows * COLUMNS).enumerate() {
            for (tile, key) in key.chunks(TILE * COLUMNS).enumerate() {
                let panels = self.sums.chunks_exact_mut(PANEL * self.words);
                for (panel, sums) in self.panels.iter().zip(panels) {
                    let digits = &panel[tile * TILE..];
                    multiply_panel(simd, key, digits, &mut sums[block * COLUMNS..], self.words);
                }
            }
        }
    }
}

/// Adds a tile of the key times the digits of a panel to the panel's sums, which are `words` apart.
#[inline(always)]
fn multiply_panel<S: Simd>(
    simd: S,
    key: &[u32],
    digits: &[[u32; PANEL]],
    sums: &mut [u32],
    words: usize,
) {
    let step = REGISTERS * size_of::<S::u32s>() / size_of::<u32>();
    for column in (0..COLUMNS).step_by(step) {
        let mut totals = [[simd.splat_u32s(0); REGISTERS]; PANEL];
        for (key, digits) in key.chunks_exact(COLUMNS).zip(digits) {
            let (key, _) = S::as_simd_u32s(&key[column..column + step]);
            for (totals, &digit) in totals.iter_mut().zip(digits) {
                let digit = simd.splat_u32s(digit);
                for (total, &word) in totals.iter_mut().zip(key) {
                    *total = simd.add_u32s(*total, simd.mul_u32s(word, digit));
                }
            }
        }
        for (sums, totals) in sums.chunks_mut(words).zip(&totals) {
            let (sums, _) = S::as_mut_simd_u32s(&mut sums[column..column + step]);
            sums.iter_mut().zip(totals).for_each(|(sum, &add)| *sum = simd.add_u32s(*sum, add));
        }
    }
}
