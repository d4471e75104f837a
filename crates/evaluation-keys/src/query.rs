//! What travels: one query in, one answer out.

use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, Width, expand_mask, unpack};

use crate::layout::{QUERY_WIDTH, QueryLayout};

/// Bytes of each mask word of an answer.
pub const ANSWER_MASK_WIDTH: Width = Width::Three;
/// Bytes of each body coefficient of an answer.
pub const ANSWER_BODY_WIDTH: Width = Width::Four;

/// An encrypted input: the seeds of the masks of its GLWE ciphertexts and the first coefficients of
/// their bodies.
///
/// Coefficients behind the network's input take no part in the first layer and are not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The public seed of each mask.
    pub seeds: Vec<[u8; SEED_BYTES]>,
    /// [`QueryLayout::len`] coefficients of the bodies, [`QueryLayout::share`] of each ciphertext,
    /// 4 bytes each ([`sphinx_linalg::pack`]).
    pub bodies: Vec<u8>,
}

/// Encrypted logits: a GLWE ciphertext of which only the coefficients of the logits have a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 2048 mask words of 3 bytes each ([`sphinx_linalg::pack`]).
    pub mask: Vec<u8>,
    /// One body coefficient of 4 bytes per logit; logit j belongs to coefficient
    /// [`logit_coefficient`].
    pub bodies: Vec<u8>,
    /// Integers modulo 2^64 per unit of a logit.
    pub scale: f64,
}

/// Why bytes are not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Another number of coefficients than the network's input takes.
    #[error(
        "{got} bytes of coefficients, this network's query has {expected}: encrypt for this network"
    )]
    Length {
        /// Bytes found.
        got: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A seed has 16 bytes, and there is one per ciphertext.
    #[error(
        "{got} bytes of seeds, this network's query has {expected}: 16 for each of its ciphertexts"
    )]
    Seed {
        /// Bytes found.
        got: usize,
        /// Bytes expected.
        expected: usize,
    },
}

impl Query {
    /// A query from its parts.
    ///
    /// # Errors
    /// [`QueryError`] if the parts do not have the sizes of the layout's queries.
    pub fn from_parts(
        seeds: &[u8],
        bodies: Vec<u8>,
        layout: &QueryLayout,
    ) -> Result<Self, QueryError> {
        let (whole, rest) = seeds.as_chunks::<SEED_BYTES>();
        let (got, expected) = (seeds.len(), layout.ciphertexts() * SEED_BYTES);
        if !rest.is_empty() {
            return Err(QueryError::Seed { got, expected });
        }
        let query = Self { seeds: whole.to_vec(), bodies };
        query.check(layout)?;
        Ok(query)
    }

    /// Bytes on the wire, framing apart.
    pub fn bytes(&self) -> usize {
        self.seeds.len() * SEED_BYTES + self.bodies.len()
    }

    /// Whether there are as many seeds and bodies as the layout's queries have.
    ///
    /// # Errors
    /// [`QueryError`] when there are not.
    pub fn check(&self, layout: &QueryLayout) -> Result<(), QueryError> {
        let (got, expected) = (self.seeds.len(), layout.ciphertexts());
        if got != expected {
            let (got, expected) = (got * SEED_BYTES, expected * SEED_BYTES);
            return Err(QueryError::Seed { got, expected });
        }
        let (got, expected) = (self.bodies.len(), layout.body_bytes());
        if got == expected { Ok(()) } else { Err(QueryError::Length { got, expected }) }
    }

    /// The mask of each ciphertext, N words.
    pub fn masks(&self) -> impl Iterator<Item = Vec<u64>> {
        self.seeds.iter().map(|&seed| {
            let mut mask = vec![0; POLYNOMIAL_SIZE];
            expand_mask(Seed(seed), &mut mask);
            mask
        })
    }

    /// The body, as many words as were sent.
    pub fn body(&self) -> Vec<u64> {
        let mut body = vec![0; self.bodies.len() / QUERY_WIDTH.bytes()];
        unpack(&self.bodies, QUERY_WIDTH, &mut body);
        body
    }
}

impl Answer {
    /// Bytes on the wire, framing apart.
    pub fn bytes(&self) -> usize {
        self.mask.len() + self.bodies.len() + size_of::<f64>()
    }
}

/// The coefficient of logit `index` of `count`: `count` rounded up to a power of two slots share
/// the N coefficients.
pub fn logit_coefficient(index: usize, count: usize) -> usize {
    index * (POLYNOMIAL_SIZE / count.next_power_of_two())
}
