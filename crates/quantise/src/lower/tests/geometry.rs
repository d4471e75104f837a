//! The maps are the convolution and its adjoint.

use proptest::prelude::*;
use sphinx_network::{Direction, Filters, LayerSpec, NetworkSpec, Plan, Shape, Stage};

use super::{BUDGET, INPUT_SCALE, WHOLE, conv_stage, dense_stage, naive_forward};
use super::{real_numbers, whole_numbers, whole_weights};
use crate::apply_clear;
use crate::lower::{Geometry, Lowered};

/// The map's result in units of the whole weights; exact, as [`WHOLE`] makes it.
fn exact(lowered: &Lowered, input: &[i32]) -> Vec<i64> {
    let sums = apply_clear(&lowered.map, input);
    let scale = |row: usize| lowered.scales[row / lowered.rows_per_channel] as i64;
    sums.iter()
        .enumerate()
        .map(|(row, &sum)| {
            assert_eq!(sum % scale(row), 0);
            sum / scale(row)
        })
        .collect()
}

fn lower(stage: &Stage, direction: Direction, weights: &[f32]) -> Lowered {
    Geometry::new(0, stage, direction).lower(weights, &WHOLE).unwrap()
}

fn inner(a: &[i64], b: &[i32]) -> i64 {
    a.iter().zip(b).map(|(&a, &b)| a * i64::from(b)).sum()
}

fn assert_adjoint(stage: &Stage, weights: &[f32], seed: u64) {
    let x = whole_numbers(stage.input.len(), seed);
    let y = whole_numbers(stage.output.len(), seed + 1);
    let forward = exact(&lower(stage, Direction::Forward, weights), &x);
    let backward = exact(&lower(stage, Direction::Backward, weights), &y);
    assert_eq!(inner(&forward, &y), inner(&backward, &x));
}

proptest! {
    #[test]
    fn forward_is_the_convolution(stage in conv_stage(), seed: u64) {
        let weights = whole_weights(&stage, seed);
        let input = whole_numbers(stage.input.len(), seed ^ 1);
        let result = exact(&lower(&stage, Direction::Forward, &weights), &input);
        let real: Vec<f64> = input.iter().map(|&x| f64::from(x)).collect();
        let naive = naive_forward(&stage, &weights, &real);
        for (result, naive) in result.iter().zip(naive) {
            prop_assert!((*result as f64 - naive).abs() < 1e-9, "{result} {naive}");
        }
    }

    #[test]
    fn forward_of_real_weights_is_within_half_a_step_per_tap(stage in conv_stage(), seed: u64) {
        let weights = real_numbers(stage.linear.weight_count(), 0.7, seed);
        let input = real_numbers(stage.input.len(), 1.0, seed ^ 1);
        let integers: Vec<i32> =
            input.iter().map(|&x| (f64::from(x) * INPUT_SCALE).round() as i32).collect();
        let geometry = Geometry::new(0, &stage, Direction::Forward);
        let lowered = geometry.lower(&weights, &BUDGET).unwrap();
        let result = apply_clear(&lowered.map, &integers);
        let encoded: Vec<f64> = integers.iter().map(|&x| f64::from(x) / INPUT_SCALE).collect();
        let naive = naive_forward(&stage, &weights, &encoded);
        let taps = lowered.map.groups().iter().map(|group| group.taps).max().unwrap();
        for (row, (&result, naive)) in result.iter().zip(naive).enumerate() {
            let scale = lowered.scales[row / lowered.rows_per_channel];
            let tolerance = 0.5 * taps as f64 * INPUT_SCALE / scale + 1e-9;
            prop_assert!((result as f64 / scale - naive).abs() <= tolerance);
        }
    }

    #[test]
    fn backward_is_the_adjoint_of_a_convolution(stage in conv_stage(), seed in 0..u64::MAX) {
        assert_adjoint(&stage, &whole_weights(&stage, seed), seed);
    }

    #[test]
    fn backward_is_the_adjoint_of_a_dense_layer(
        inputs in 1..40_usize, outputs in 2..40_usize, seed in 0..u64::MAX
    ) {
        let stage = dense_stage(inputs, outputs);
        assert_adjoint(&stage, &whole_weights(&stage, seed), seed);
    }

    #[test]
    fn both_directions_cost_the_same(stage in conv_stage()) {
        let cost = |direction| Geometry::new(0, &stage, direction).multiply_adds();
        prop_assert_eq!(cost(Direction::Forward), cost(Direction::Backward));
    }
}

#[test]
fn dense_map_is_the_matrix() {
    let stage = dense_stage(3, 2);
    let weights = [1.0, -2.0, 3.0, 0.0, 5.0, -4.0];
    let forward = lower(&stage, Direction::Forward, &weights);
    assert_eq!(exact(&forward, &[1, 10, 100]), [281, -350]);
    let backward = lower(&stage, Direction::Backward, &weights);
    assert_eq!(exact(&backward, &[1, 10]), [1, 48, -37]);
    assert_eq!((forward.map.groups().len(), backward.map.groups().len()), (1, 1));
}

#[test]
fn rows_that_nothing_reaches_are_zero() {
    // Stride 3 with kernel 1 looks at every third pixel only.
    let input = Shape::new(1, 4, 4);
    let layers = vec![
        LayerSpec::Conv {
            out_channels: 1,
            kernel: 1,
            stride: 3,
            padding: 0,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 2 },
    ];
    let spec = NetworkSpec { name: "test".into(), input, layers, bias_bound: 4.0 };
    let stage = Plan::new(&spec).unwrap().stages.remove(0);
    let lowered = lower(&stage, Direction::Backward, &[2.0]);
    let expected = [2, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 8];
    assert_eq!(exact(&lowered, &[1, 2, 3, 4]), expected);
    assert_eq!(lowered.map.multiply_adds(), 4);
}

#[test]
fn multiply_adds_of_sphinx_mnist() {
    let count = |direction, skip| -> usize {
        let stages = Plan::new(&NetworkSpec::builtin("sphinx-mnist").unwrap()).unwrap().stages;
        let stages = stages.iter().enumerate().skip(skip);
        stages.map(|(i, stage)| Geometry::new(i, stage, direction).multiply_adds()).sum()
    };
    assert_eq!(count(Direction::Forward, 0), 666_600);
    // The first layer has nobody to hand a gradient to.
    assert_eq!(count(Direction::Backward, 1), 436_200);
}
