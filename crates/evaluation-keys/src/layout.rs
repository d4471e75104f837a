//! Where the input of a network lies in a query.

use sphinx_linalg::{BIAS_SCALE_LOG2, POLYNOMIAL_SIZE, Width};
use sphinx_network::{FoldedStage, Plan};

/// Bytes of each body coefficient of a query.
pub const QUERY_WIDTH: Width = Width::Four;

/// Most ciphertexts of a query: 32 768 coefficients, more than the features of any built-in stem.
pub const MAX_CIPHERTEXTS: usize = 16;

/// Log2 of the integers per unit of an input, if an activation follows: as of a bias in its
/// ciphertext.
const ACTIVATED_SCALE_LOG2: u32 = BIAS_SCALE_LOG2;
/// The same for the input of a linear network.
///
/// Its sums reach hundreds of units, so that few bits are left for weights if inputs have 2^48. At
/// 2^40 the noise of an input is 2^-9.8 units and weights have 8 bits more.
const LINEAR_SCALE_LOG2: u32 = 40;

/// Why a network cannot be queried in one shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A plan without linear layers.
    #[error("the network has no linear layer")]
    NoStages,
    /// The input and the padding of its first convolution exceed a query.
    #[error(
        "the input takes {got} coefficients with its padding, a query has {limit} in {MAX_CIPHERTEXTS} ciphertexts"
    )]
    InputTooLarge {
        /// Coefficients that the padded input takes.
        got: usize,
        /// Coefficients of the most ciphertexts.
        limit: usize,
    },
    /// One channel and the padding of its first convolution exceed a ciphertext.
    #[error(
        "a channel of the input takes {got} coefficients with its padding, one ciphertext has {limit}"
    )]
    ChannelTooLarge {
        /// Coefficients that a padded channel takes.
        got: usize,
        /// Coefficients of a ciphertext.
        limit: usize,
    },
}

/// Where the scalars of a network's input lie among the coefficients of a query.
///
/// A map is laid out line by line with the padding of the first convolution around it, so that a
/// kernel never meets the next line. Channels lie one after the other, in as many ciphertexts as
/// they need; none is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLayout {
    length: usize,
    /// Coefficients of each ciphertext but the last, which may have fewer.
    share: usize,
    scale_log2: u32,
    positions: Vec<usize>,
}

impl QueryLayout {
    /// The layout for the first stage of `plan`.
    ///
    /// # Errors
    /// [`LayoutError`] if the padded input does not fit [`MAX_CIPHERTEXTS`], or a channel one.
    pub fn new(plan: &Plan) -> Result<Self, LayoutError> {
        let stage = plan.stages.first().ok_or(LayoutError::NoStages)?;
        let folded = FoldedStage::new(stage);
        let (length, channels) = (folded.padded_len(), folded.channels.max(1));
        let channel = length / channels;
        if channel > POLYNOMIAL_SIZE {
            return Err(LayoutError::ChannelTooLarge { got: channel, limit: POLYNOMIAL_SIZE });
        }
        let share = POLYNOMIAL_SIZE / channel.max(1) * channel;
        if length > MAX_CIPHERTEXTS * share {
            let limit = MAX_CIPHERTEXTS * POLYNOMIAL_SIZE;
            return Err(LayoutError::InputTooLarge { got: length, limit });
        }
        let scale_log2 = match plan.stages.len() {
            1 => LINEAR_SCALE_LOG2,
            _ => ACTIVATED_SCALE_LOG2,
        };
        Ok(Self { length, share, scale_log2, positions: folded.positions().collect() })
    }

    /// Coefficients of a query, padding included.
    #[allow(clippy::len_without_is_empty, reason = "no network has no input")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Ciphertexts of a query.
    pub fn ciphertexts(&self) -> usize {
        self.length.div_ceil(self.share)
    }

    /// Coefficients of each ciphertext but the last, which may have fewer.
    pub fn share(&self) -> usize {
        self.share
    }

    /// Log2 of the integers per unit of an input.
    pub fn scale_log2(&self) -> u32 {
        self.scale_log2
    }

    /// Number of scalars of the input.
    pub fn scalars(&self) -> usize {
        self.positions.len()
    }

    /// Bytes of the bodies of a query.
    pub fn body_bytes(&self) -> usize {
        self.length * QUERY_WIDTH.bytes()
    }

    /// The message of a query, [`QueryLayout::len`] words: every scalar of `input`, at
    /// [`QueryLayout::scale_log2`] integers per unit, at its coefficient.
    pub fn encode(&self, input: &[f32]) -> Vec<u64> {
        let mut message = vec![0u64; self.length];
        let scale = f64::from(self.scale_log2).exp2();
        for (&position, &value) in self.positions.iter().zip(input) {
            message[position] = ((f64::from(value) * scale).round() as i64).cast_unsigned();
        }
        message
    }
}
