//! The key switch of many samples at once: small digits × the key-switching key, modulo 2^32.

use tfhe::core_crypto::prelude::SignedDecomposer;

use crate::keys::key_switching_stride;
use crate::parameters::Parameters;
use crate::sample::SAMPLE_WORDS;

/// Rows of the key that are multiplied together: each partial sum is loaded and stored once for eight of them.
const ROWS: usize = 8;

/// Switches samples (2049 words modulo 2^64 each) to the small key: n + 1 words modulo 2^32 and padding each.
///
/// All samples share one pass over the key, whose 44 MB would otherwise be read from memory for each.
pub(crate) fn multiply_digits(parameters: &Parameters, key: &[u32], samples: &[u64]) -> Vec<u32> {
    let gadget = parameters.key_switching;
    let decomposer = SignedDecomposer::<u64>::new(gadget.base(), gadget.level_count());
    let count = samples.len() / SAMPLE_WORDS;
    let stride = key_switching_stride(parameters);
    let mut digits = Vec::with_capacity(count * SAMPLE_WORDS * gadget.levels);
    let mut switched = vec![0u32; count * stride];
    for (sample, out) in samples.chunks_exact(SAMPLE_WORDS).zip(switched.chunks_exact_mut(stride)) {
        let (mask, body) = sample.split_at(SAMPLE_WORDS - 1);
        // The last level comes first, as in tfhe's keys. Negated: the mask's part is subtracted.
        digits.extend(mask.iter().flat_map(|&word| {
            decomposer.decompose(word).map(|term| (term.value() as u32).wrapping_neg())
        }));
        out[parameters.small_dimension] = (body[0].wrapping_add(1 << 31) >> 32) as u32;
    }
    let rows = digits.len() / count.max(1);
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (block, key) in key.chunks_exact(ROWS * stride).enumerate() {
                for (sums, digits) in
                    switched.chunks_exact_mut(stride).zip(digits.chunks_exact(rows))
                {
                    add_rows(sums, &digits[block * ROWS..][..ROWS], key, stride);
                }
            }
        },
    );
    switched
}

/// Adds `ROWS` rows of the key, each times its digit.
#[inline(always)]
fn add_rows(sums: &mut [u32], digits: &[u32], key: &[u32], stride: usize) {
    let row = |index: usize| &key[index * stride..][..stride];
    let rows: [&[u32]; ROWS] = std::array::from_fn(row);
    let digits: [u32; ROWS] = std::array::from_fn(|index| digits[index]);
    for (column, sum) in sums.iter_mut().enumerate() {
        let mut total = *sum;
        for (row, digit) in rows.iter().zip(digits) {
            total = total.wrapping_add(row[column].wrapping_mul(digit));
        }
        *sum = total;
    }
}
