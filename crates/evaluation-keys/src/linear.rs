//! What travels to and from a linear layer whose answers are not packed: ciphertexts modulo 2^32,
//! whole, because only whole words can be checked.

use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, Width, expand_mask, pack, unpack};

use crate::layout::QueryLayout;
use crate::query::QueryError;

/// Bytes of every word.
const WIDTH: Width = Width::Four;

/// An encrypted input: the seeds of the masks of its GLWE ciphertexts modulo 2^32, and their
/// bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearQuery {
    /// 16 bytes per ciphertext.
    pub seeds: Vec<u8>,
    /// [`QueryLayout::len`] words of 4 bytes, [`QueryLayout::share`] of each ciphertext.
    pub bodies: Vec<u8>,
}

/// A sample (LWE, dimension 2048, modulo 2^32) per output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearResult {
    /// 2048 words of 4 bytes per output.
    pub masks: Vec<u8>,
    /// A word of 4 bytes per output.
    pub bodies: Vec<u8>,
}

impl LinearQuery {
    /// A query without ciphertexts.
    pub fn empty() -> Self {
        Self { seeds: Vec::new(), bodies: Vec::new() }
    }

    /// Adds the next ciphertext: the seed of its mask, and as many words of its body as the input
    /// takes.
    pub fn push(&mut self, seed: [u8; SEED_BYTES], body: &[u32]) {
        self.seeds.extend(seed);
        self.bodies.extend(bytes(body));
    }

    /// Bytes of a query's bodies.
    pub fn body_bytes(layout: &QueryLayout) -> usize {
        layout.len() * WIDTH.bytes()
    }

    /// Whether there are as many seeds and bodies as the layout's queries have.
    ///
    /// # Errors
    /// [`QueryError`] when there are not.
    pub fn check(&self, layout: &QueryLayout) -> Result<(), QueryError> {
        let (got, expected) = (self.seeds.len(), layout.ciphertexts() * SEED_BYTES);
        if got != expected {
            return Err(QueryError::Seed { got, expected });
        }
        let (got, expected) = (self.bodies.len(), Self::body_bytes(layout));
        if got == expected { Ok(()) } else { Err(QueryError::Length { got, expected }) }
    }

    /// The mask of each ciphertext, N words below 2^32.
    pub fn masks(&self) -> impl Iterator<Item = Vec<u64>> {
        self.seeds.as_chunks::<SEED_BYTES>().0.iter().map(|&seed| {
            let mut mask = vec![0u32; POLYNOMIAL_SIZE];
            expand_mask(Seed(seed), &mut mask);
            mask.into_iter().map(u64::from).collect()
        })
    }

    /// The bodies, words below 2^32.
    pub fn body(&self) -> Vec<u64> {
        words(&self.bodies).into_iter().map(u64::from).collect()
    }
}

impl LinearResult {
    /// From samples, each a mask and then a body.
    pub fn new(samples: impl Iterator<Item = impl Iterator<Item = u32>>) -> Self {
        let (mut masks, mut bodies) = (Vec::new(), Vec::new());
        for sample in samples {
            let sample: Vec<u32> = sample.collect();
            let (mask, body) = sample.split_at(POLYNOMIAL_SIZE.min(sample.len()));
            masks.extend(bytes(mask));
            bodies.extend(bytes(body));
        }
        Self { masks, bodies }
    }

    /// The samples, if there are `outputs` whole ones: masks, N words each, and bodies.
    pub fn samples(&self, outputs: usize) -> Option<(Vec<u32>, Vec<u32>)> {
        let word = WIDTH.bytes();
        let expected = (outputs * POLYNOMIAL_SIZE * word, outputs * word);
        let whole = (self.masks.len(), self.bodies.len()) == expected;
        whole.then(|| (words(&self.masks), words(&self.bodies)))
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; words.len() * WIDTH.bytes()];
    pack(words, WIDTH, &mut bytes);
    bytes
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0; bytes.len() / WIDTH.bytes()];
    unpack(bytes, WIDTH, &mut words);
    words
}
