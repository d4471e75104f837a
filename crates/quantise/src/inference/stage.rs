//! One stage with int8 weights and the modulus its sums need.

use sphinx_linalg::LinearMap;
use sphinx_network::{Direction, Stage};

use crate::inference::QuantisationError;
use crate::inference::difference::WEIGHT_LIMIT;
use crate::lower::{Geometry, LowerError};

/// Precision of activations unless asked otherwise; finer than int8 weights can make use of.
pub const DEFAULT_ACTIVATION_BITS: u32 = 11;
/// Widest modulus `2^t` whose sums still decrypt exactly.
pub const MAX_MODULUS_BITS: u32 = 32;

/// A channel's scale is held so low that its bias alone does not exceed this, if weights of the
/// stage permit.
const BIAS_LIMIT: f64 = (1u64 << 28) as f64;
/// A channel's weights are scaled up to at most this multiple of what the stage's largest weight
/// is.
const CHANNEL_GAIN: f64 = 64.0;

/// A forward map with 8-bit weights on integer activations, evaluated modulo `2^modulus_bits`.
///
/// Sums, bias included, lie strictly between `±2^(modulus_bits - 1)`, so that they are known from
/// their residue.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceStage {
    /// The integer map; weights lie in `[-127, 127]`.
    pub map: LinearMap,
    /// The same weights, row-major `[channel][tap]` after pool folding.
    pub weights: Vec<i8>,
    /// Integers per unit of result, for each output channel.
    pub scales: Vec<f64>,
    /// Number of result rows of each channel.
    pub rows_per_channel: usize,
    /// Largest absolute activation, in units.
    pub input_bound: f64,
    /// The integer that stands for `input_bound`, and the largest there is.
    pub input_limit: i32,
    /// Bits `t` of the modulus.
    pub modulus_bits: u32,
}

impl InferenceStage {
    /// Quantises `weights` (in the order of [`sphinx_network::Linear`]) of `stage`, number `index`
    /// of its plan.
    ///
    /// Activations in `±input_bound` become integers in `±2^activation_bits`, that is
    /// `A = 2^activation_bits / input_bound` integers per unit; a power of two keeps 1/2, 1/4, …
    /// exact. Per output channel, after pool folding, `w_int = round(w·127 / max|w|)` and
    /// `S = A·127 / max|w|`. Where max|w| is tiny (below 1/64 of the stage's largest weight, or so
    /// small that the bias alone would exceed 2^28) a larger number takes its place, at most the
    /// stage's largest weight, lest one dead channel widen the modulus of all.
    ///
    /// # Errors
    /// A [`QuantisationError`] for unfit weights or bounds, or sums that need more than 32 bits.
    pub fn new(
        index: usize,
        stage: &Stage,
        weights: &[f32],
        bias_bound: f32,
        activation_bits: u32,
    ) -> Result<Self, QuantisationError> {
        let limit = MAX_MODULUS_BITS - 2;
        if !(1..=limit).contains(&activation_bits) {
            return Err(QuantisationError::ActivationBits { got: activation_bits, limit });
        }
        for (field, got) in [("input_bound", stage.input_bound), ("bias_bound", bias_bound)] {
            if !(got.is_finite() && got > 0.0) {
                return Err(QuantisationError::Bound { stage: index, field, got });
            }
        }
        let geometry = Geometry::new(index, stage, Direction::Forward);
        let input_limit = 1_i32 << activation_bits;
        let input_bound = f64::from(stage.input_bound);
        let quantiser = Quantiser {
            geometry: &geometry,
            input_limit,
            input_scale: f64::from(input_limit) / input_bound,
            bias_bound: f64::from(bias_bound),
        };
        let Quantised { weights, scales, bound } = quantiser.quantise(weights)?;
        let modulus_bits = modulus_bits(bound);
        if modulus_bits > MAX_MODULUS_BITS {
            let (got, limit) = (modulus_bits, MAX_MODULUS_BITS);
            return Err(QuantisationError::ModulusTooSmall { stage: index, got, limit });
        }
        let map =
            geometry.map(&weights).map_err(|source| LowerError::Shape { stage: index, source })?;
        let rows_per_channel = geometry.rows_per_channel();
        // Within ±127 by construction.
        let weights = weights.iter().map(|&weight| weight as i8).collect();
        Ok(Self { map, weights, scales, rows_per_channel, input_bound, input_limit, modulus_bits })
    }

    /// Activations as integers: `round(a·A)`, halves away from zero, clamped to `±input_limit`.
    pub fn encode(&self, activations: &[f32]) -> Vec<i32> {
        let scale = f64::from(self.input_limit) / self.input_bound;
        let limit = f64::from(self.input_limit);
        let encode = |&a: &f32| (f64::from(a) * scale).round().clamp(-limit, limit) as i32;
        activations.iter().map(encode).collect()
    }

    /// The values that exact sums (bias included) stand for: `sum / S` of the row's channel.
    pub fn decode(&self, sums: &[i64]) -> Vec<f32> {
        let rows = sums.chunks(self.rows_per_channel).zip(&self.scales);
        rows.flat_map(|(rows, scale)| rows.iter().map(move |&sum| (sum as f64 / scale) as f32))
            .collect()
    }
}

/// A bias as the integer that is added to the sums of a channel with scale `scale`.
///
/// `bias` must lie within the bound that [`InferenceStage::new`] was given.
pub fn quantised_bias(bias: f32, scale: f64) -> i64 {
    (f64::from(bias) * scale).round() as i64
}

struct Quantiser<'a> {
    geometry: &'a Geometry,
    input_limit: i32,
    input_scale: f64,
    bias_bound: f64,
}

struct Quantised {
    /// Row-major `[channel][tap]`.
    weights: Vec<i32>,
    scales: Vec<f64>,
    /// Largest absolute sum of any channel.
    bound: u128,
}

impl Quantiser<'_> {
    fn quantise(&self, weights: &[f32]) -> Result<Quantised, LowerError> {
        let matrix = self.geometry.real_matrix(weights)?;
        let largest = largest(&matrix);
        let bias_floor = self.bias_bound * self.input_scale * WEIGHT_LIMIT / BIAS_LIMIT;
        let floor = if largest > 0.0 {
            // Never above the largest weight: precision that does not fit is refused, not given up
            // in silence.
            bias_floor.clamp(largest / CHANNEL_GAIN, largest)
        } else {
            bias_floor.max(1.0)
        };
        let channels = self.geometry.result_channels();
        let (mut weights, mut scales) = (Vec::with_capacity(matrix.len()), Vec::new());
        let mut bound = 0;
        for row in matrix.chunks_exact(matrix.len() / channels) {
            let gain = WEIGHT_LIMIT / self::largest(row).max(floor);
            let scale = gain * self.input_scale;
            let sum = self.geometry.largest_sum(row, |weight| (weight * gain).round().abs());
            let products = (sum as u128).saturating_mul(self.input_limit as u128);
            bound = bound.max(products + quantised_bias_bound(self.bias_bound, scale));
            weights.extend(row.iter().map(|weight| (weight * gain).round() as i32));
            scales.push(scale);
        }
        Ok(Quantised { weights, scales, bound })
    }
}

fn largest(weights: &[f64]) -> f64 {
    weights.iter().fold(0.0, |largest, weight| largest.max(weight.abs()))
}

fn quantised_bias_bound(bound: f64, scale: f64) -> u128 {
    (bound * scale).ceil() as u128
}

/// The smallest `t` with `bound < 2^(t - 1)`.
fn modulus_bits(bound: u128) -> u32 {
    u128::BITS - bound.leading_zeros() + 1
}
