//! Encrypted biases: ciphertexts modulo 2^64 whose message is one bias in all coefficients.

use crate::evaluate::OutputRows;
use crate::mask::{Seed, expand_mask};
use crate::parameters::{BIAS_SCALE_LOG2, POLYNOMIAL_SIZE, ROW_WORDS, SEED_BYTES};
use crate::wire::{Width, pack, unpack};

/// Bytes per word in which biases are sent and stored.
pub const BIAS_WIDTH: Width = Width::Six;

/// The encrypted biases of one stage, expanded, 2N words modulo 2^64 per bias.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedBiases {
    words: Vec<u64>,
}

/// Why encrypted biases were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BiasError {
    /// Seeds are 16 bytes per bias, bodies N words of 6 bytes.
    #[error("{seeds} bytes of seeds and {bodies} bytes of bodies do not describe whole biases")]
    Length {
        /// Bytes of seeds.
        seeds: usize,
        /// Bytes of bodies.
        bodies: usize,
    },
    /// Stored ciphertexts have another size.
    #[error("{got} bytes of stored biases, expected {expected}")]
    StoredLength {
        /// Bytes found.
        got: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The change covers biases that the stage does not have.
    #[error("biases {first}..{end} of a stage that has {count}")]
    OutOfRange {
        /// First bias.
        first: usize,
        /// One past the last bias.
        end: usize,
        /// Biases of the stage.
        count: usize,
    },
}

impl EncryptedBiases {
    /// `count` trivial encryptions of zero.
    pub fn zero(count: usize) -> Self {
        Self { words: vec![0; count * ROW_WORDS] }
    }

    /// Number of biases.
    pub fn len(&self) -> usize {
        self.words.len() / ROW_WORDS
    }

    /// Whether the stage has no biases.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The ciphertext of one bias, mask then body.
    pub fn row(&self, bias: usize) -> &[u64] {
        &self.words[bias * ROW_WORDS..][..ROW_WORDS]
    }

    /// Adds encrypted changes to the biases from `first` on: one addition per word.
    ///
    /// # Errors
    /// [`BiasError`] if the lengths or the range do not fit; nothing is changed then.
    pub fn add_seeded(
        &mut self,
        first: usize,
        seeds: &[u8],
        bodies: &[u8],
    ) -> Result<(), BiasError> {
        let row_bytes = POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
        let count = seeds.len() / SEED_BYTES;
        if seeds.len() != count * SEED_BYTES || bodies.len() != count * row_bytes {
            return Err(BiasError::Length { seeds: seeds.len(), bodies: bodies.len() });
        }
        if first.checked_add(count).is_none_or(|end| end > self.len()) {
            let end = first.saturating_add(count);
            return Err(BiasError::OutOfRange { first, end, count: self.len() });
        }
        let mut change = vec![0u64; ROW_WORDS];
        let rows = self.words[first * ROW_WORDS..].chunks_exact_mut(ROW_WORDS);
        let (seeds, _) = seeds.as_chunks::<SEED_BYTES>();
        for (row, (&seed, body)) in rows.zip(seeds.iter().zip(bodies.chunks_exact(row_bytes))) {
            let (mask_words, body_words) = change.split_at_mut(POLYNOMIAL_SIZE);
            expand_mask(Seed(seed), mask_words);
            unpack(body, BIAS_WIDTH, body_words);
            row.iter_mut().zip(&change).for_each(|(word, &add)| *word = word.wrapping_add(add));
        }
        Ok(())
    }

    /// The biases as stored: every word rounded to its top 48 bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let half_bytes = POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
        let mut bytes = vec![0; self.words.len() * BIAS_WIDTH.bytes()];
        let halves = self.words.chunks_exact(POLYNOMIAL_SIZE);
        halves
            .zip(bytes.chunks_exact_mut(half_bytes))
            .for_each(|(half, bytes)| pack(half, BIAS_WIDTH, bytes));
        bytes
    }

    /// Reads [`EncryptedBiases::to_bytes`] of `count` biases.
    ///
    /// # Errors
    /// [`BiasError::StoredLength`] if the size is wrong.
    pub fn from_bytes(bytes: &[u8], count: usize) -> Result<Self, BiasError> {
        let half_bytes = POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
        let expected = 2 * count * half_bytes;
        if bytes.len() != expected {
            return Err(BiasError::StoredLength { got: bytes.len(), expected });
        }
        let mut words = vec![0; count * ROW_WORDS];
        for (half, bytes) in
            words.chunks_exact_mut(POLYNOMIAL_SIZE).zip(bytes.chunks_exact(half_bytes))
        {
            unpack(bytes, BIAS_WIDTH, half);
        }
        Ok(Self { words })
    }

    /// The biases at the scale of a stage's results, modulo 2^32: bias b at `scales[b]` integers
    /// per unit.
    ///
    /// Scales are multiples of [`bias_scale_step`], which makes the factor an integer and the
    /// product exact.
    pub fn at_scales(&self, scales: &[f64]) -> ScaledBiases {
        let mut words = Vec::with_capacity(self.words.len());
        for (row, scale) in self.words.chunks_exact(ROW_WORDS).zip(scales) {
            let factor = (scale / bias_scale_step()) as u64;
            // Rounded, not cut: cutting would shift every result by half a step per secret bit.
            words.extend(
                row.iter()
                    .map(|word| (word.wrapping_mul(factor).wrapping_add(1 << 31) >> 32) as u32),
            );
        }
        ScaledBiases { words }
    }
}

/// Results to which biases are added have scales that are multiples of this: one step of the bias
/// ciphertext (2^-48), brought from modulo 2^64 to modulo 2^32.
pub fn bias_scale_step() -> f64 {
    f64::from(BIAS_SCALE_LOG2 - 32).exp2()
}

/// Biases ready to be added to results modulo 2^32.
#[derive(Clone)]
pub struct ScaledBiases {
    words: Vec<u32>,
}

impl ScaledBiases {
    /// Adds to every output row the bias of its channel, `row / rows_per_channel`.
    pub fn add_to(&self, outputs: &mut OutputRows<u32>, rows_per_channel: usize) {
        for (words, &row) in outputs.words.chunks_exact_mut(ROW_WORDS).zip(&outputs.rows) {
            let bias = &self.words[row as usize / rows_per_channel * ROW_WORDS..][..ROW_WORDS];
            words.iter_mut().zip(bias).for_each(|(word, &add)| *word = word.wrapping_add(add));
        }
    }
}

impl std::fmt::Debug for EncryptedBiases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptedBiases").field("count", &self.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ScaledBiases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.words.len() / ROW_WORDS;
        f.debug_struct("ScaledBiases").field("count", &count).finish_non_exhaustive()
    }
}
