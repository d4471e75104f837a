//! Samples: LWE ciphertexts under the large key.

use sphinx_linalg::{POLYNOMIAL_SIZE, ROW_WORDS};

/// Words of a sample: mask, then body.
pub const SAMPLE_WORDS: usize = POLYNOMIAL_SIZE + 1;

/// A list of samples modulo 2^64, each an LWE ciphertext of dimension 2048 under the coefficients
/// of the secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct Samples {
    words: Vec<u64>,
}

impl Samples {
    /// `count` trivial samples of zero.
    pub fn zero(count: usize) -> Self {
        Self { words: vec![0; count * SAMPLE_WORDS] }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.words.len() / SAMPLE_WORDS
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The samples, each 2048 words of mask and one of body.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.words.chunks_exact(SAMPLE_WORDS)
    }

    /// Mask and body words of all samples.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Mask and body words of all samples.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Samples").field("count", &self.len()).finish_non_exhaustive()
    }
}

/// Extracts coefficient `index` of a ciphertext whose mask and body polynomials are given as a
/// sample.
///
/// (A·S)_p = Σ_{i ≤ p} A_{p-i}·s_i - Σ_{i > p} A_{N+p-i}·s_i in Z[X]/(X^N + 1).
pub(crate) fn extract(mask: &[u64], body: u64, index: usize, sample: &mut [u64]) {
    let (to, last) = sample.split_at_mut(POLYNOMIAL_SIZE);
    let (low, high) = to.split_at_mut(index + 1);
    low.iter_mut().zip(mask[..=index].iter().rev()).for_each(|(to, &word)| *to = word);
    let wrapped = mask[index + 1..].iter().rev();
    high.iter_mut().zip(wrapped).for_each(|(to, &word)| *to = word.wrapping_neg());
    last[0] = body;
}

/// The inverse of [`extract`] for coefficient 0: a ciphertext whose coefficient 0 is the sample's
/// message. The other coefficients are arbitrary.
pub(crate) fn embed(sample: &[u64], row: &mut [u64; ROW_WORDS]) {
    let (mask, body) = row.split_at_mut(POLYNOMIAL_SIZE);
    mask[0] = sample[0];
    mask[1..]
        .iter_mut()
        .zip(sample[1..POLYNOMIAL_SIZE].iter().rev())
        .for_each(|(to, &word)| *to = word.wrapping_neg());
    body.fill(0);
    body[0] = sample[POLYNOMIAL_SIZE];
}
