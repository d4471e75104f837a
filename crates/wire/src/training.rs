//! Integers of activations and deltas in training.
//!
//! A stage's input `a` is encrypted as the integer `round(a · scale)` modulo 2^32 and multiplied by
//! integer weights; the result stands for `z = z_int / scale` of its channel. The server chooses
//! the weights' integers so that no result leaves ±[`RANGE`] whatever the inputs are, and states
//! both scales with its answers.

use sphinx_linalg::bias_scale_step;
use sphinx_network::Stage;
use sphinx_quantise::TrainingBudget;

/// Integers per unit of a stage's largest input. With the weights' share of the range this
/// balances, for layers of a few hundred taps, the noise of encryption against the rounding of
/// weights (docs/cryptography.md).
pub const INPUT_SCALE: f64 = (1 << 14) as f64;

/// Largest absolute integer result. The room up to 2^31 is for noise: the absolute weights of a
/// result sum to at most 2^31 / 2^14, so six deviations of the noise of its inputs (9.25 each) stay
/// below 2^23 however the weights are spread.
pub const RANGE: f64 = ((1u64 << 31) - (1 << 23)) as f64;

/// Largest absolute integer weight; finer weights than this would only amplify noise.
pub const MAX_WEIGHT: i32 = 1 << 20;

/// Largest number of input rows of one evaluation, over all its blocks: 1 GiB at the trainer. A
/// network has at most as many rows in a stage.
pub const MAX_EVALUATION_ROWS: usize = 1 << 16;

/// Integers per unit of a stage's input in forward direction.
pub fn forward_input_scale(stage: &Stage) -> f64 {
    INPUT_SCALE / f64::from(stage.input_bound)
}

/// Integers per unit of a normalised delta (at most 1 in absolute value).
pub fn backward_input_scale() -> f64 {
    INPUT_SCALE
}

/// What the integers of a stage's forward product have to keep to, its biases included.
pub fn forward_budget(stage: &Stage, bias_bound: f64) -> TrainingBudget {
    TrainingBudget {
        range: RANGE,
        input_scale: forward_input_scale(stage),
        input_bound: f64::from(stage.input_bound),
        bias_bound,
        scale_step: bias_scale_step(),
        max_weight: MAX_WEIGHT,
    }
}

/// What the integers of a stage's transposed product have to keep to.
pub fn backward_budget() -> TrainingBudget {
    TrainingBudget {
        range: RANGE,
        input_scale: backward_input_scale(),
        input_bound: 1.0,
        bias_bound: 0.0,
        scale_step: 1.0,
        max_weight: MAX_WEIGHT,
    }
}

/// Values at `scale` integers per unit, rounded to the nearest, modulo 2^32.
pub fn encode(values: &[f32], scale: f64, messages: &mut [u32]) {
    let scale = scale as f32;
    for (message, value) in messages.iter_mut().zip(values) {
        *message = ((value * scale).round_ties_even() as i32).cast_unsigned();
    }
}

/// The values that integers modulo 2^32 stand for at `scale` integers per unit.
pub fn decode(integers: &[u32], scale: f64, values: &mut [f32]) {
    let unit = (1.0 / scale) as f32;
    for (value, word) in values.iter_mut().zip(integers) {
        *value = word.cast_signed() as f32 * unit;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_survive_to_half_a_step(
            values in proptest::collection::vec(-1f32..1.0, 1..70),
        ) {
            let mut integers = vec![0; values.len()];
            encode(&values, INPUT_SCALE, &mut integers);
            let mut back = vec![0.0; values.len()];
            decode(&integers, INPUT_SCALE, &mut back);
            let step = 1.0 / INPUT_SCALE as f32;
            for (value, back) in values.iter().zip(&back) {
                prop_assert!((value - back).abs() <= step * 0.5001, "{value} came back as {back}");
            }
        }
    }
}
