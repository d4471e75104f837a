mod bounds;
mod geometry;

use proptest::prelude::*;

use sphinx_network::{Direction, Filters, LayerSpec, Linear, NetworkSpec, Plan, Shape, Stage};

use crate::lower::TrainingBudget;

const INPUT_SCALE: f64 = 16_384.0;

const BUDGET: TrainingBudget = TrainingBudget {
    range: ((1_u64 << 31) - 1) as f64,
    input_scale: INPUT_SCALE,
    input_bound: 1.0,
    input_noise: 16.0,
    max_weight: 1 << 20,
};

/// As [`BUDGET`], with inputs that are their own integers: scales are whole, so whole weights make
/// `w_int = w·S` exact.
const WHOLE: TrainingBudget =
    TrainingBudget { input_scale: 1.0, input_bound: INPUT_SCALE, ..BUDGET };

/// A conv stage of random geometry, with or without a folded pool, as [`Plan::new`] makes it.
fn conv_stage() -> impl Strategy<Value = Stage> {
    let kernel = (1..=5_usize).prop_flat_map(|kernel| (Just(kernel), 0..kernel));
    let channels = (1..=3_usize, 1..=3_usize);
    let positions = (1..=4_usize, 1..=4_usize);
    (kernel, channels, positions, 1..=3_usize, 1..=3_usize, 0..3_usize).prop_filter_map(
        "the padded map is all padding",
        |((kernel, padding), (in_channels, out_channels), (lines, columns), pool, stride, rest)| {
            let side = |positions: usize| {
                let padded = (positions * pool - 1) * stride + kernel + rest % stride;
                padded.checked_sub(2 * padding).filter(|&side| side > 0)
            };
            let input = Shape::new(in_channels, side(lines)?, side(columns)?);
            let mut layers = vec![LayerSpec::Conv {
                out_channels,
                kernel,
                stride,
                padding,
                filters: Filters::Random,
            }];
            if pool > 1 {
                layers.push(LayerSpec::AvgPool { size: pool });
            }
            layers.extend([LayerSpec::Tanh, LayerSpec::Dense { outputs: 2 }]);
            let spec = NetworkSpec { name: "test".into(), input, layers, bias_bound: 4.0 };
            Some(Plan::new(&spec).unwrap().stages.remove(0))
        },
    )
}

fn dense_stage(inputs: usize, outputs: usize) -> Stage {
    let layers = vec![LayerSpec::Dense { outputs }];
    let input = Shape::flat(inputs);
    let spec = NetworkSpec { name: "test".into(), input, layers, bias_bound: 4.0 };
    Plan::new(&spec).unwrap().stages.remove(0)
}

/// Whole weights, divisible by the size of the pooling window so that folding keeps them whole.
fn whole_weights(stage: &Stage, seed: u64) -> Vec<f32> {
    let window = stage.pool.map_or(1, |pool| pool * pool);
    let values = whole_numbers(stage.linear.weight_count(), seed);
    values.into_iter().map(|value| (value * window as i32) as f32).collect()
}

/// Whole numbers from -5 to 5.
fn whole_numbers(count: usize, seed: u64) -> Vec<i32> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-5..=5)).collect()
}

/// Real numbers in `±scale`.
fn real_numbers(count: usize, scale: f32, seed: u64) -> Vec<f32> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-scale..=scale)).collect()
}

/// Convolution and average pooling by their definitions.
fn naive_forward(stage: &Stage, weights: &[f32], input: &[f64]) -> Vec<f64> {
    let Linear::Conv { in_channels, out_channels, kernel, stride, padding } = stage.linear else {
        unreachable!("only called for convolutions")
    };
    let (from, to) = (stage.input, stage.linear_output);
    let pool = stage.pool.unwrap_or(1);
    let mut output = vec![0.0; stage.output.len()];
    for o in 0..out_channels {
        for y in 0..to.height {
            for x in 0..to.width {
                let mut sum = 0.0;
                for c in 0..in_channels {
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (row, column) = (y * stride + ky, x * stride + kx);
                            if row < padding || column < padding {
                                continue;
                            }
                            let (row, column) = (row - padding, column - padding);
                            if row < from.height && column < from.width {
                                let weight =
                                    weights[((o * in_channels + c) * kernel + ky) * kernel + kx];
                                sum += f64::from(weight)
                                    * input[(c * from.height + row) * from.width + column];
                            }
                        }
                    }
                }
                let pooled = (o * stage.output.height + y / pool) * stage.output.width + x / pool;
                output[pooled] += sum / (pool * pool) as f64;
            }
        }
    }
    output
}

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];
