//! Encrypted biases for recognition in one shot: samples modulo 2^64 whose message is one bias.

use crate::mask::{Seed, expand_mask};
use crate::parameters::{POLYNOMIAL_SIZE, ROW_WORDS, SEED_BYTES};
use crate::wire::{Width, unpack};

/// Bytes per word in which biases are sent and stored.
pub const BIAS_WIDTH: Width = Width::Six;

/// The encrypted biases of one stage, expanded: per bias the mask and a body of which only
/// coefficient 0 is known, which is all that a sample needs.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedBiases {
    words: Vec<u64>,
}

/// Seeds are 16 bytes per bias, bodies one word of 6 bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{seeds} bytes of seeds and {bodies} of bodies, expected 16 and 6 for each of {count} biases"
)]
pub struct BiasError {
    /// Bytes of seeds.
    pub seeds: usize,
    /// Bytes of bodies.
    pub bodies: usize,
    /// Biases expected.
    pub count: usize,
}

impl EncryptedBiases {
    /// Expands the masks of `count` biases. About 10 µs each.
    ///
    /// # Errors
    /// [`BiasError`] if the lengths are not those of so many biases.
    pub fn from_samples(seeds: &[u8], bodies: &[u8], count: usize) -> Result<Self, BiasError> {
        let word = BIAS_WIDTH.bytes();
        if (seeds.len(), bodies.len()) != (count * SEED_BYTES, count * word) {
            return Err(BiasError { seeds: seeds.len(), bodies: bodies.len(), count });
        }
        let mut words = vec![0; count * ROW_WORDS];
        let (seeds, _) = seeds.as_chunks::<SEED_BYTES>();
        let samples = seeds.iter().zip(bodies.chunks_exact(word));
        for (row, (&seed, body)) in words.chunks_exact_mut(ROW_WORDS).zip(samples) {
            let (mask, bodies) = row.split_at_mut(POLYNOMIAL_SIZE);
            expand_mask(Seed(seed), mask);
            unpack(body, BIAS_WIDTH, &mut bodies[..1]);
        }
        Ok(Self { words })
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
}

impl std::fmt::Debug for EncryptedBiases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptedBiases").field("count", &self.len()).finish_non_exhaustive()
    }
}
