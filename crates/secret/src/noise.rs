//! Encryption noise from a cryptographic generator.

use sphinx_linalg::{Word, fill_keystream, noise_bound_log2};
use zeroize::Zeroize;

/// Adds fresh noise `TUniform(bound)` to small integers, as [`add_noise`] does to words.
pub(crate) fn add_noise_signed(
    key: &[u8; 16],
    bound: u32,
    values: &mut [i32],
    bytes: &mut Vec<u8>,
) {
    bytes.resize(4 * values.len(), 0);
    fill_keystream(key, bytes);
    let (uniform_mask, offset) = ((2u32 << bound) - 1, 1i32 << bound);
    for (value, sample) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let bits = u32::from_le_bytes(*sample);
        *value += (bits & uniform_mask) as i32 + (bits >> 31) as i32 - offset;
    }
    bytes.zeroize();
}

/// Adds fresh noise to every word: `TUniform(b)`, uniform on [-2^b, 2^b] with half weight at both
/// ends, b from tfhe's security curve at the word's modulus.
///
/// A sample is the sum of a uniform number of b + 1 bits and one more bit, less 2^b (the definition
/// in tfhe), taken from a keystream under the secret `key`. `bytes` is scratch.
pub(crate) fn add_noise<W: Word>(key: &[u8; 16], body: &mut [W], bytes: &mut Vec<u8>) {
    let bound = noise_bound_log2(W::BITS);
    bytes.resize(4 * body.len(), 0);
    fill_keystream(key, bytes);
    let uniform_mask = (2u32 << bound) - 1;
    let offset = 1i64 << bound;
    for (word, sample) in body.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let bits = u32::from_le_bytes(*sample);
        // The top bit is independent of the low b + 1 bits as long as b < 31.
        let noise = i64::from(bits & uniform_mask) + i64::from(bits >> 31) - offset;
        *word = word.add(W::from_signed(noise));
    }
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use sphinx_linalg::tuniform_variance;

    use super::*;

    #[test]
    fn noise_has_the_curves_range_and_variance() {
        let bound = noise_bound_log2(32);
        let mut words = vec![0u32; 1 << 18];
        let key = *b"a secret 16 byte";
        add_noise(&key, &mut words, &mut Vec::new());
        let limit = 1i64 << bound;
        assert!(words.iter().all(|word| word.to_signed().abs() <= limit));
        let count = words.len() as f64;
        let mean = words.iter().map(|word| word.to_signed() as f64).sum::<f64>() / count;
        let variance =
            words.iter().map(|word| (word.to_signed() as f64).powi(2)).sum::<f64>() / count;
        let expected = tuniform_variance(bound);
        // Six standard errors of the mean and of the variance (fourth moment of a uniform: 1.8
        // σ^4).
        assert!(mean.abs() < 6.0 * (expected / count).sqrt(), "mean {mean}");
        assert!((variance - expected).abs() < 6.0 * expected * (0.8 / count).sqrt(), "{variance}");
        let ends = words.iter().filter(|word| word.to_signed().abs() == limit).count() as f64;
        let share = 2.0 * (0.25 / limit as f64);
        assert!((ends / count - share).abs() < 6.0 * (share / count).sqrt(), "ends {ends}");
    }
}
