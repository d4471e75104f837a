//! No input within its bound drives a result out of the range, and no finer scale would do.

use proptest::prelude::*;
use sphinx_network::Direction;

use super::{BUDGET, DIRECTIONS, conv_stage, dense_stage, real_numbers};
use crate::apply_clear;
use crate::lower::{Geometry, LowerError, Lowered, TrainingBudget};

/// For each channel, the largest result over its rows when every input and its noise have the sign
/// that hurts most.
fn adversarial(lowered: &Lowered, budget: &TrainingBudget) -> Vec<f64> {
    let message = (budget.input_bound * budget.input_scale).ceil();
    assert_eq!(message, budget.largest_message());
    let limit = (message + budget.input_noise.ceil()) as i32;
    let mut worst = vec![0.0_f64; lowered.scales.len()];
    for group in lowered.map.groups() {
        for patch in group.patches.iter() {
            for (index, &row) in patch.scatter.iter().enumerate() {
                let mut input = vec![limit; lowered.map.inputs()];
                let weights = &group.weights[index * group.taps..][..group.taps];
                for (&weight, &source) in weights.iter().zip(&patch.gather) {
                    input[source as usize] = limit * weight.signum();
                }
                let channel = row as usize / lowered.rows_per_channel;
                let sum = apply_clear(&lowered.map, &input)[row as usize] as f64;
                worst[channel] = worst[channel].max(sum);
            }
        }
    }
    worst
}

fn assert_within(lowered: &Lowered, budget: &TrainingBudget) {
    assert_eq!(adversarial(lowered, budget), lowered.bounds, "bounds are attained, not exceeded");
    assert!(lowered.bounds.iter().all(|&bound| bound <= budget.range));
    assert!(lowered.scales.iter().all(|scale| *scale >= 1.0 && scale.fract() == 0.0));
    let weights = lowered.map.groups().iter().flat_map(|group| &group.weights);
    assert!(weights.clone().all(|weight| weight.abs() <= budget.max_weight));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn adversarial_inputs_attain_the_bound_and_never_exceed_it(
        stage in conv_stage(), seed: u64, magnitude in 1e-4..4.0_f32, input_bound in 0.3..6.0_f64
    ) {
        let weights = real_numbers(stage.linear.weight_count(), magnitude, seed);
        for direction in DIRECTIONS {
            for input_noise in [0.0, 15.5, 4096.0] {
                let budget = TrainingBudget { input_bound, input_noise, ..BUDGET };
                let geometry = Geometry::new(0, &stage, direction);
                assert_within(&geometry.lower(&weights, &budget).unwrap(), &budget);
            }
        }
    }

    #[test]
    fn no_coarser_than_needed(
        seed: u64, magnitude in 1e-3..4.0_f32,
        input_noise in prop::sample::select(vec![0.0, 16.0]),
        max_weight in prop::sample::select(vec![127, 4095, 1 << 20])
    ) {
        let (inputs, outputs) = (60, 7);
        let budget = TrainingBudget { input_noise, max_weight, ..BUDGET };
        let weights = real_numbers(inputs * outputs, magnitude, seed);
        let geometry = Geometry::new(0, &dense_stage(inputs, outputs), Direction::Forward);
        let lowered = geometry.lower(&weights, &budget).unwrap();
        assert_within(&lowered, &budget);
        for (row, &scale) in weights.chunks(inputs).zip(&lowered.scales) {
            let next = scale + 1.0;
            let integers: Vec<f64> = row
                .iter()
                .map(|&weight| (f64::from(weight) * next / budget.input_scale).round().abs())
                .collect();
            let bound = integers.iter().sum::<f64>() * (budget.input_scale + input_noise);
            let largest = integers.iter().fold(0.0, |largest, &weight| weight.max(largest));
            prop_assert!(bound > budget.range || largest > f64::from(max_weight));
        }
    }
}

#[test]
fn zero_rows_get_a_finite_scale() {
    let geometry = Geometry::new(0, &dense_stage(3, 2), Direction::Forward);
    let lowered = geometry.lower(&[0.0, 0.0, 0.0, 1e-40, 0.0, 0.0], &BUDGET).unwrap();
    assert!(lowered.scales.iter().all(|scale| scale.is_finite()));
    assert_within(&lowered, &BUDGET);
}

#[test]
fn rejects_wrong_number_of_weights() {
    let geometry = Geometry::new(3, &dense_stage(3, 2), Direction::Forward);
    let error = geometry.lower(&[0.0; 5], &BUDGET).unwrap_err();
    assert_eq!(error, LowerError::WeightCount { stage: 3, got: 5, expected: 6 });
}

#[test]
fn rejects_weights_that_are_not_finite() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for direction in DIRECTIONS {
            let geometry = Geometry::new(2, &dense_stage(3, 2), direction);
            let error = geometry.lower(&[0.0, 1.0, 2.0, 3.0, bad, 5.0], &BUDGET).unwrap_err();
            assert_eq!(error, LowerError::NonFiniteWeight { stage: 2, index: 4 });
        }
    }
}

#[test]
fn rejects_weights_that_leave_no_scale() {
    let geometry = Geometry::new(1, &dense_stage(2, 2), Direction::Forward);
    for large in [1e12, f32::MAX] {
        let error = geometry.lower(&[1.0, 1.0, large, large], &BUDGET).unwrap_err();
        assert!(matches!(error, LowerError::RangeExceeded { stage: 1, channel: 1, .. }), "{error}");
    }
}

#[test]
fn rejects_budget_of_which_nothing_can_be_made() {
    let geometry = Geometry::new(0, &dense_stage(2, 2), Direction::Forward);
    for (budget, expected) in [
        (TrainingBudget { range: f64::NAN, ..BUDGET }, "range"),
        (TrainingBudget { input_scale: 0.0, ..BUDGET }, "input_scale"),
        (TrainingBudget { input_bound: f64::INFINITY, ..BUDGET }, "input_bound"),
        (TrainingBudget { input_noise: -1.0, ..BUDGET }, "input_noise"),
        (TrainingBudget { input_noise: f64::NAN, ..BUDGET }, "input_noise"),
        (TrainingBudget { max_weight: 0, ..BUDGET }, "max_weight"),
    ] {
        let error = geometry.lower(&[1.0; 4], &budget).unwrap_err();
        assert!(matches!(error, LowerError::Budget { field, .. } if field == expected), "{error}");
    }
}
