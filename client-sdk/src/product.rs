//! Ciphertext rows in, ciphertext rows out: one linear product as the server does it, and its
//! check.
//!
//! [`RowServer`] is the seam under a session of training and under a batch in one shot. On this
//! side of it values are encrypted under keys that live for one product, decrypted, and checked
//! ([`evaluate`]); on the other, rows are multiplied, by a service or by whoever pretends to be it.

mod checked;

use bytes::Bytes;
use sphinx_linalg::Profile;
use sphinx_network::Direction;
use sphinx_quantise::Lowered;

pub(crate) use self::checked::{CheckCost, Checked, Fresh, evaluate};
use crate::error::ClientError;

/// One linear product on some blocks of 2048 slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluation<'a> {
    pub stage: usize,
    pub direction: Direction,
    pub blocks: usize,
    /// Of the ciphertexts.
    pub profile: Profile,
    /// The integers, as the server must have them.
    pub product: &'a Lowered,
    /// Integers per unit of input.
    pub scale: f64,
    /// Largest integer that an input may become.
    pub limit: i32,
    /// What becomes of the biases.
    pub biases: Biases<'a>,
}

/// Biases of a product, by channel of the result.
#[derive(Clone, Copy)]
pub(crate) enum Biases<'a> {
    /// Nothing is added.
    None,
    /// After decryption.
    Added(&'a [f32]),
    /// Encrypted after the other inputs, one row each: `unit` makes inputs of them.
    Sent { values: &'a [f32], unit: f32 },
}

impl Biases<'_> {
    /// Input rows that they take.
    pub fn rows(&self) -> usize {
        match self {
            Self::None | Self::Added(_) => 0,
            Self::Sent { values, .. } => values.len(),
        }
    }
}

/// Without the biases.
impl std::fmt::Debug for Biases<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Biases").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

impl Evaluation<'_> {
    /// Input rows.
    pub fn inputs(&self) -> usize {
        self.product.map.inputs()
    }

    /// Output rows.
    pub fn outputs(&self) -> usize {
        self.product.map.outputs()
    }
}

/// Input rows on their way up: 16 bytes of seed per row, and a word of t bits per row and slot.
pub(crate) struct UploadRows {
    pub first_row: usize,
    pub seeds: Bytes,
    pub bodies: Bytes,
}

/// Result rows as they come down, whole and each for the first time.
pub(crate) struct ResultRows {
    pub rows: Vec<u32>,
    pub masks: Bytes,
    pub bodies: Bytes,
}

/// Multiplies ciphertext rows. For each evaluation: [`announce`](Self::announce), all input rows,
/// then result rows until all have come.
pub(crate) trait RowServer {
    /// Begins an evaluation.
    fn announce(&mut self, evaluation: &Evaluation<'_>) -> Result<(), ClientError>;

    /// Takes the next input rows.
    fn send(&mut self, rows: UploadRows) -> Result<(), ClientError>;

    /// The next result rows, `None` once all have come.
    fn receive(&mut self) -> Result<Option<ResultRows>, ClientError>;
}
