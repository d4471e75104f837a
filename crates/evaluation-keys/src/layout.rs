//! Where the input of a network lies in a query.

use sphinx_linalg::{BIAS_SCALE_LOG2, POLYNOMIAL_SIZE, Width};
use sphinx_network::{FoldedStage, Plan};

/// Log2 of the integers per unit of an input in a query, as of a bias in its ciphertext.
pub const INPUT_SCALE_LOG2: u32 = BIAS_SCALE_LOG2;
/// Bytes of each body coefficient of a query.
pub const QUERY_WIDTH: Width = Width::Four;

/// Why a network cannot be queried in one shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A plan without linear layers.
    #[error("the network has no linear layer")]
    NoStages,
    /// The input and the padding of its first convolution exceed a ciphertext.
    #[error("the input takes {got} coefficients with its padding, one ciphertext has {limit}")]
    InputTooLarge {
        /// Coefficients that the padded input takes.
        got: usize,
        /// Coefficients of a ciphertext.
        limit: usize,
    },
}

/// Where the scalars of a network's input lie among the coefficients of a query.
///
/// A map is laid out line by line with the padding of the first convolution around it, so that a
/// kernel never meets the next line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLayout {
    length: usize,
    positions: Vec<usize>,
}

impl QueryLayout {
    /// The layout for the first stage of `plan`.
    ///
    /// # Errors
    /// [`LayoutError::InputTooLarge`] if the padded input does not fit one ciphertext.
    pub fn new(plan: &Plan) -> Result<Self, LayoutError> {
        let stage = plan.stages.first().ok_or(LayoutError::NoStages)?;
        let folded = FoldedStage::new(stage);
        let length = folded.padded_len();
        if length > POLYNOMIAL_SIZE {
            return Err(LayoutError::InputTooLarge { got: length, limit: POLYNOMIAL_SIZE });
        }
        Ok(Self { length, positions: folded.positions().collect() })
    }

    /// Coefficients of a query, padding included.
    #[allow(clippy::len_without_is_empty, reason = "no network has no input")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Number of scalars of the input.
    pub fn scalars(&self) -> usize {
        self.positions.len()
    }

    /// Bytes of the bodies of a query.
    pub fn body_bytes(&self) -> usize {
        self.length * QUERY_WIDTH.bytes()
    }

    /// The message of a query: every scalar of `input` at 2^48 integers per unit, at its
    /// coefficient; N words.
    pub fn encode(&self, input: &[f32]) -> Vec<u64> {
        let mut message = vec![0u64; POLYNOMIAL_SIZE];
        let scale = f64::from(INPUT_SCALE_LOG2).exp2();
        for (&position, &value) in self.positions.iter().zip(input) {
            message[position] = ((f64::from(value) * scale).round() as i64).cast_unsigned();
        }
        message
    }
}
