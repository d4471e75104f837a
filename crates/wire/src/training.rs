//! Integers of weights, activations and deltas in training.
//!
//! A stage's input `a` is encrypted as the integer `round(a · scale)` modulo 2^t and multiplied by
//! integer weights; the result stands for `z = z_int / scale` of its channel. Both sides make the
//! same integers of the same weights ([`Geometries::lower`]), so that no result can leave
//! ±[`range`] whatever the inputs are, their noise included: z_int is known over the integers, not
//! only modulo 2^t, which is what the check of a product needs.

mod integers;
pub mod profile;

use sphinx_linalg::Profile;
use sphinx_network::Stage;
use sphinx_proto::ConversionError;
use sphinx_proto::v1::TrainingProfile;
use sphinx_quantise::TrainingBudget;

pub use self::integers::{BiasForm, Form, Geometries, StageIntegers, working_sha256};

/// A profile as messages have it.
pub const fn profile_message(profile: Profile) -> TrainingProfile {
    match profile {
        Profile::Glwe2048T32 => TrainingProfile::Glwe2048T32,
        Profile::Glwe1024T24 => TrainingProfile::Glwe1024T24,
    }
}

/// The profile of a message.
///
/// # Errors
/// [`ConversionError::Value`] for a number that stands for none.
pub fn profile_of_message(value: i32) -> Result<Profile, ConversionError> {
    match TrainingProfile::try_from(value) {
        Ok(TrainingProfile::Glwe2048T32) => Ok(Profile::Glwe2048T32),
        Ok(TrainingProfile::Glwe1024T24) => Ok(Profile::Glwe1024T24),
        Err(_) => Err(ConversionError::Value {
            field: "profile",
            got: value.to_string(),
            expected: "TRAINING_PROFILE_GLWE_2048_T32 (0) or TRAINING_PROFILE_GLWE_1024_T24 (1)",
        }),
    }
}

/// X: integers per unit of a stage's largest input. With the weights' share of the range this
/// balances, for layers of a few hundred taps, the noise of encryption against the rounding of
/// weights (docs/cryptography.md).
pub const fn input_scale(profile: Profile) -> f64 {
    match profile {
        Profile::Glwe2048T32 => (1 << 14) as f64,
        Profile::Glwe1024T24 => (1 << 10) as f64,
    }
}

/// Largest absolute noise of an encrypted integer: that of `TUniform(4)`, which tfhe's curve asks
/// for in all profiles.
pub const INPUT_NOISE: f64 = 16.0;

/// Largest absolute integer result: any below 2^(t - 1) is its own centred residue modulo 2^t.
pub const fn range(profile: Profile) -> f64 {
    ((1u64 << (profile.modulus_log2() - 1)) - 1) as f64
}

/// Largest absolute integer weight; finer weights than this would only amplify noise.
pub const MAX_WEIGHT: i32 = 1 << 20;

/// Largest number of input rows of one evaluation times its blocks: 1 GiB at the trainer. A network
/// has at most as many rows in a stage.
pub const MAX_EVALUATION_ROWS: usize = 1 << 16;

/// Most blocks that share a mask in one evaluation.
pub const MAX_BLOCKS: usize = 16;

/// Integers per unit of a stage's input in forward direction.
pub fn forward_input_scale(stage: &Stage, profile: Profile) -> f64 {
    input_scale(profile) / f64::from(stage.input_bound)
}

/// Integers per unit of a normalised delta (at most 1 in absolute value).
pub fn backward_input_scale(profile: Profile) -> f64 {
    input_scale(profile)
}

/// What the integers of a stage's forward product have to keep to.
pub fn forward_budget(stage: &Stage, profile: Profile) -> TrainingBudget {
    let (input_scale, input_bound) =
        (forward_input_scale(stage, profile), f64::from(stage.input_bound));
    TrainingBudget { input_scale, input_bound, ..backward_budget(profile) }
}

/// What the integers of a stage's transposed product have to keep to.
pub fn backward_budget(profile: Profile) -> TrainingBudget {
    TrainingBudget {
        range: range(profile),
        input_scale: backward_input_scale(profile),
        input_bound: 1.0,
        input_noise: INPUT_NOISE,
        max_weight: MAX_WEIGHT,
    }
}

/// Values at `scale` integers per unit, rounded to the nearest and kept within `limit`, the largest
/// message that the budget reckons with. What is no number becomes 0.
pub fn encode(values: &[f32], scale: f64, limit: i32, messages: &mut [i32]) {
    let scale = scale as f32;
    for (message, value) in messages.iter_mut().zip(values) {
        *message = ((value * scale).round_ties_even() as i32).clamp(-limit, limit);
    }
}

/// The values that integers stand for at `scale` integers per unit, plus a bias.
pub fn decode(integers: &[i32], scale: f64, bias: f32, values: &mut [f32]) {
    let unit = (1.0 / scale) as f32;
    for (value, &integer) in values.iter_mut().zip(integers) {
        *value = integer as f32 * unit + bias;
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
            let scale = input_scale(Profile::Glwe2048T32);
            encode(&values, scale, 1 << 14, &mut integers);
            let mut back = vec![0.0; values.len()];
            decode(&integers, scale, 0.0, &mut back);
            let step = 1.0 / scale as f32;
            for (value, back) in values.iter().zip(&back) {
                prop_assert!((value - back).abs() <= step * 0.5001, "{value} came back as {back}");
            }
        }
    }

    #[test]
    fn nothing_is_encoded_beyond_the_limit() {
        let mut integers = [7; 5];
        let values = [2.0, -1e30, f32::INFINITY, f32::NAN, 0.5];
        encode(&values, input_scale(Profile::Glwe2048T32), 1 << 14, &mut integers);
        assert_eq!(integers, [1 << 14, -(1 << 14), 1 << 14, 0, 1 << 13]);
    }

    #[test]
    fn the_noise_reckoned_with_is_the_noise_there_is() {
        for profile in Profile::ALL {
            assert_eq!(INPUT_NOISE, f64::from(1u32 << profile.noise_bound_log2()));
        }
    }
}
