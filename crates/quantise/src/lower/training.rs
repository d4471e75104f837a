//! Quantisation for training: the finest scales for which no result can leave the range.

use sphinx_linalg::LinearMap;

use crate::lower::LowerError;
use crate::lower::geometry::Geometry;

/// Scales are not made finer than this many integers per unit for every integer of range: a channel
/// whose weights are all zero has no finest scale.
const MAX_GAIN: f64 = 1024.0;

/// What the integers of a training stage may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingBudget {
    /// Largest absolute integer result, e.g. 2^31.
    pub range: f64,
    /// Integers per unit of input, e.g. 2^14.
    pub input_scale: f64,
    /// Largest absolute input, in units.
    pub input_bound: f64,
    /// Largest absolute noise of an input, in integers.
    pub input_noise: f64,
    /// Largest absolute integer weight.
    pub max_weight: i32,
}

/// An integer map with the meaning of its results:
/// `value ≈ integer / scales[row / rows_per_channel]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered {
    /// The integer map.
    pub map: LinearMap,
    /// Integers per unit of result, for each channel of the result.
    pub scales: Vec<f64>,
    /// Largest absolute integer result, for each channel; proved, not estimated.
    pub bounds: Vec<f64>,
    /// Number of result rows of each channel.
    pub rows_per_channel: usize,
}

impl Geometry {
    /// Quantises `weights` (in the order of [`sphinx_network::Linear`], real units) under `budget`.
    ///
    /// For channel `o` of the result the scale `S` is the largest whole number with
    /// `Σ|w_int|·(⌈input_bound·input_scale⌉ + input_noise) ≤ range` and `|w_int| ≤ max_weight`,
    /// where `w_int = round(w·S / input_scale)` and the sum runs over the taps of the result row
    /// that has most. Costs a few passes over the weights: 1 to 2 ms for the 33 400 of
    /// `sphinx-mnist`, on one core.
    ///
    /// # Errors
    /// A [`LowerError`] for a wrong number of weights, weights that are not finite or too large, or
    /// a budget of which nothing can be made.
    pub fn lower(&self, weights: &[f32], budget: &TrainingBudget) -> Result<Lowered, LowerError> {
        let stage = self.stage;
        budget.check(stage)?;
        let matrix = self.with_bias_columns(self.real_matrix(weights)?);
        let row_length = self.row_length();
        let channels = self.result_channels();
        let mut integers = Vec::with_capacity(matrix.len());
        let (mut scales, mut bounds) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
        for (channel, row) in matrix.chunks_exact(row_length).enumerate() {
            let row = Row::new(self, row, budget);
            let scale = row.finest_scale().ok_or(LowerError::RangeExceeded {
                stage,
                channel,
                norm: row.norm,
                range: budget.range,
            })?;
            integers.extend(row.weights.iter().map(|&weight| row.quantised(weight, scale)));
            scales.push(scale);
            bounds.push(row.bound(scale));
        }
        let map = self.map(&integers).map_err(|source| LowerError::Shape { stage, source })?;
        Ok(Lowered { map, scales, bounds, rows_per_channel: self.rows_per_channel() })
    }

    /// A matrix `[result channel][tap]` with the columns of biases, of which each channel has one.
    fn with_bias_columns(&self, matrix: Vec<f64>) -> Vec<f64> {
        let Some(weight) = self.bias_weight else { return matrix };
        let (taps, channels) = (self.kernel.row_length(self.direction), self.result_channels());
        let rows = matrix.chunks_exact(taps).enumerate();
        let own = |channel: usize| {
            (0..channels).map(move |column| if column == channel { weight } else { 0.0 })
        };
        rows.flat_map(|(channel, row)| row.iter().copied().chain(own(channel))).collect()
    }

    /// The matrix `[result channel][tap]` of checked weights.
    pub(crate) fn real_matrix(&self, weights: &[f32]) -> Result<Vec<f64>, LowerError> {
        let (stage, expected) = (self.stage, self.kernel.weight_count());
        if weights.len() != expected {
            return Err(LowerError::WeightCount { stage, got: weights.len(), expected });
        }
        if let Some(index) = weights.iter().position(|weight| !weight.is_finite()) {
            return Err(LowerError::NonFiniteWeight { stage, index });
        }
        Ok(self.kernel.matrix(weights, self.direction))
    }

    /// The largest sum of `magnitude` over the taps of one result row of the channel with these
    /// weights.
    pub(crate) fn largest_sum<T>(&self, weights: &[f64], magnitude: impl Fn(f64) -> T) -> T
    where
        T: Default + PartialOrd + std::iter::Sum,
    {
        let sums = self.groups.iter().filter(|group| group.maximal).map(|group| {
            if group.columns.len() == weights.len() {
                return weights.iter().map(|&weight| magnitude(weight)).sum();
            }
            group.columns.iter().map(|&column| magnitude(weights[column as usize])).sum()
        });
        sums.fold(T::default(), |largest: T, sum: T| if sum > largest { sum } else { largest })
    }
}

impl TrainingBudget {
    fn check(&self, stage: usize) -> Result<(), LowerError> {
        let positive = [
            ("range", self.range),
            ("input_scale", self.input_scale),
            ("input_bound", self.input_bound),
            ("max_weight", f64::from(self.max_weight)),
        ];
        for (field, got) in positive {
            if !(got.is_finite() && got > 0.0) {
                let expected = "a positive finite number";
                return Err(LowerError::Budget { stage, field, got, expected });
            }
        }
        if !(self.input_noise.is_finite() && self.input_noise >= 0.0) {
            let (field, expected) = ("input_noise", "zero or a positive finite number");
            return Err(LowerError::Budget { stage, field, got: self.input_noise, expected });
        }
        Ok(())
    }

    /// The largest integer an input may be encoded as.
    pub fn largest_message(&self) -> f64 {
        (self.input_bound * self.input_scale).ceil()
    }

    /// The largest integer that may meet a weight: a message with its noise.
    fn largest_input(&self) -> f64 {
        self.largest_message() + self.input_noise.ceil()
    }
}

/// One row of the weight matrix: the taps of one channel of the result.
struct Row<'a> {
    geometry: &'a Geometry,
    budget: &'a TrainingBudget,
    weights: &'a [f64],
    /// Largest absolute weight.
    largest: f64,
    /// Largest sum of absolute weights over the taps of one result.
    norm: f64,
}

impl<'a> Row<'a> {
    fn new(geometry: &'a Geometry, weights: &'a [f64], budget: &'a TrainingBudget) -> Self {
        let largest = weights.iter().fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
        let norm = geometry.largest_sum(weights, f64::abs);
        Self { geometry, budget, weights, largest, norm }
    }

    /// The largest admissible multiple of the scale step, if any. Admissibility is monotone in the
    /// scale, and the sum of rounded weights is within half the number of taps of its real value,
    /// so few are left to try.
    fn finest_scale(&self) -> Option<f64> {
        let TrainingBudget { range, input_scale, max_weight, .. } = *self.budget;
        let input = self.budget.largest_input();
        let per_unit = self.norm * input / input_scale;
        let rounding = 0.5 * self.weights.len() as f64 * input;
        let ceiling =
            (range * MAX_GAIN).min((f64::from(max_weight) + 0.5) * input_scale / self.largest);
        let steps = |scale: f64| scale.min(ceiling) as u64;
        let scale_of = |steps: u64| steps as f64;
        let (mut low, mut high) = (0, steps((range + rounding) / per_unit));
        let guess = steps((range - rounding) / per_unit).min(high);
        if self.is_admissible(scale_of(guess)) {
            low = guess;
        } else {
            high = guess - 1;
        }
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.is_admissible(scale_of(middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        (low > 0).then(|| scale_of(low))
    }

    fn is_admissible(&self, scale: f64) -> bool {
        // The first test also keeps the sum of the second one far from overflow.
        let largest = rounded_magnitude(self.largest * self.factor(scale));
        largest <= i64::from(self.budget.max_weight)
            && self.integer_bound(scale) <= self.budget.range as u128
    }

    fn bound(&self, scale: f64) -> f64 {
        self.integer_bound(scale) as f64
    }

    /// The largest absolute result in integers, without rounding error.
    fn integer_bound(&self, scale: f64) -> u128 {
        let factor = self.factor(scale);
        let sum =
            self.geometry.largest_sum(self.weights, |weight| rounded_magnitude(weight * factor));
        (sum as u128).saturating_mul(self.budget.largest_input() as u128)
    }

    fn quantised(&self, weight: f64, scale: f64) -> i32 {
        let magnitude = rounded_magnitude(weight * self.factor(scale)) as i32;
        if weight < 0.0 { -magnitude } else { magnitude }
    }

    fn factor(&self, scale: f64) -> f64 {
        scale / self.budget.input_scale
    }
}

/// Rounds to the nearest integer, halves away from zero. Unlike [`f64::round`] it needs no library
/// call on plain x86-64; proof and weights both go through it, so that a last-bit difference from
/// `round` cannot matter.
#[inline]
pub(crate) fn rounded_magnitude(value: f64) -> i64 {
    (value.abs() + 0.5) as i64
}
