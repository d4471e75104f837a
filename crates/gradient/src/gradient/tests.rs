use std::num::NonZeroUsize;

use pulp::{Arch, Scalar, Scalar256b, Scalar512b, Simd};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};

use super::conv::{ConvGeometry, ConvSum};
use super::dense::RowProducts;
use super::tile::{Copies, Scratch, Span, SpanSum, StageFactors};
use crate::clear::ClearStage;
use crate::tensor::Tensor;

const SLOTS: usize = 32;

fn plan() -> Plan {
    let layers = vec![
        LayerSpec::Conv {
            out_channels: 5,
            kernel: 3,
            stride: 2,
            padding: 1,
            filters: sphinx_network::Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 3 },
    ];
    let input = Shape::new(2, 6, 6);
    Plan::new(&NetworkSpec { name: "small".to_owned(), input, layers, bias_bound: 4.0 }).unwrap()
}

fn ramp(rows: usize) -> Tensor {
    let values = (0..rows * SLOTS).map(|i| (i * 37 % 113) as f32 / 113.0 - 0.5);
    Tensor::new(rows, SLOTS, values.collect()).unwrap()
}

/// Machines without wide vectors run the same code with fewer lanes and registers.
#[test]
fn every_vector_width_gives_the_same_sum() {
    for stage in &plan().stages {
        let (input, mut delta) = (ramp(stage.input.len()), ramp(stage.output.len()));
        // Norms from small to large.
        for row in delta.rows_mut() {
            row.iter_mut().enumerate().for_each(|(slot, value)| *value *= slot as f32 / 16.0);
        }
        let conv = ConvGeometry::new(stage);
        let factors = [StageFactors { conv, input: &input, delta: &delta }];
        for examples in [SLOTS, SLOTS / 2] {
            // Some norms lie above the threshold and some below.
            let ((expected, clipped), threshold) = (0..20)
                .map(|halvings| 16.0 * 0.5f32.powi(halvings))
                .map(|norm| {
                    (span_sum(&factors, examples, norm, |span| Arch::new().dispatch(span)), norm)
                })
                .find(|((_, clipped), _)| *clipped > 0 && *clipped < examples)
                .unwrap();
            let sums = [
                span_sum(&factors, examples, threshold, |span| Scalar.vectorize(span)),
                span_sum(&factors, examples, threshold, |span| Scalar256b.vectorize(span)),
                span_sum(&factors, examples, threshold, |span| Scalar512b.vectorize(span)),
            ];
            for (sum, own_clipped) in &sums {
                assert_eq!(*own_clipped, clipped);
                for (value, expected) in sum.iter().zip(&expected) {
                    assert!((value - expected).abs() < 1e-5 * (1.0 + expected.abs()));
                }
            }
            // The same groups, whose sums are added in f64: as good as the same bits. Single lanes
            // round products too.
            for (value, other) in sums[1].0.iter().zip(&sums[2].0) {
                assert!((value - other).abs() < 1e-13, "{value} {other}");
            }
        }
    }
}

/// The convolution's weights and biases, the factors of the examples, and how many are clipped.
fn span_sum(
    stages: &[StageFactors<'_>],
    examples: usize,
    threshold: f32,
    run: impl Fn(Span<'_, '_>) -> SpanSum,
) -> (Vec<f64>, usize) {
    let shown = [(SLOTS / examples) as u32; SLOTS];
    let mut clip_factors = [0.0; SLOTS];
    let sum = run(Span {
        stages,
        scratch: &mut Scratch::new(stages, SLOTS / examples),
        first: 0,
        shown: &shown[..examples],
        copies: Copies { count: SLOTS / examples, stride: examples },
        threshold: Some(threshold),
        factors: &mut clip_factors[..examples],
    });
    assert_eq!(sum.not_finite, 0);
    let convs = sum.convs.iter().flatten().collect::<Vec<_>>();
    let mut values = clip_factors.map(f64::from).to_vec();
    if !convs.is_empty() {
        let (weights, biases) = ConvSum::total(convs.into_iter());
        values.extend(weights.into_iter().chain(biases));
    }
    (values, sum.clipped)
}

/// The gradient of `δ · W a` with respect to W, against W of the clear layer: `Σ W ∘ ∇W = δ · W a`.
#[test]
fn gradient_of_a_linear_layer_reproduces_its_output() {
    for stage in &plan().stages {
        let (input, delta) = (ramp(stage.input.len()), ramp(stage.output.len()));
        let weights = (0..stage.linear.weight_count()).map(|i| (i * 7 % 11) as f32 - 5.0);
        let biases = (0..stage.linear.bias_count()).map(|i| i as f32 - 1.0);
        let parameters = sphinx_network::StageParameters {
            weights: weights.collect(),
            biases: biases.collect(),
        };
        let output = ClearStage::new(stage).forward(&parameters, &input).unwrap();
        let labels = [Some(0); SLOTS];
        let stages = [(stage, (&input, &delta))];
        let gradient =
            super::clipped_gradient(&stages, &labels, NonZeroUsize::MIN, super::Clipping::None)
                .unwrap();
        let dot =
            |a: &[f64], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum() };
        let output: Vec<f64> = output.as_slice().iter().copied().map(f64::from).collect();
        let expected = dot(&output, delta.as_slice());
        let got = dot(&gradient.weights[0], &parameters.weights)
            + dot(&gradient.biases[0], &parameters.biases);
        assert!((got - expected).abs() < 1e-4 * expected.abs().max(1.0), "{got} {expected}");
    }
}

/// Dense layers, over parts that groups do not cross: the members of every group show in the last
/// bits of the sums.
#[test]
fn every_vector_width_sums_dense_layers_in_the_same_groups() {
    let ramp = |rows: usize, slots: usize| {
        let values = (0..rows * slots).map(|i| (i * 37 % 113) as f32 / 113.0 - 0.5);
        Tensor::new(rows, slots, values.collect()).unwrap()
    };
    let (input, scaled) = (ramp(6, 480), ramp(5, 480));
    for stride in [480, 240, 16] {
        let run = |dispatch: &dyn Fn(RowProducts<'_>)| {
            let mut weights = vec![0.0; 5 * 6];
            let (input, scaled, weights_of) = (&input, &scaled, &mut weights);
            dispatch(RowProducts { input, scaled, stride, first: 0, weights: weights_of });
            weights
        };
        let fused = |sum: f32, a: f32, b: f32| a.mul_add(b, sum);
        let rounded = |sum: f32, a: f32, b: f32| sum + a * b;
        check(&run(&|rows| Scalar256b.vectorize(rows)), &in_groups(&input, &scaled, stride, fused));
        check(&run(&|rows| Scalar512b.vectorize(rows)), &in_groups(&input, &scaled, stride, fused));
        check(&run(&|rows| Scalar.vectorize(rows)), &in_groups(&input, &scaled, stride, rounded));
    }
}

/// The products of a dense layer summed by groups that are written out.
fn in_groups(
    input: &Tensor,
    scaled: &Tensor,
    stride: usize,
    add: impl Fn(f32, f32, f32) -> f32,
) -> Vec<f64> {
    let mut sums = Vec::new();
    for (output, row) in (0..scaled.rows()).flat_map(|o| (0..input.rows()).map(move |i| (o, i))) {
        let mut total = 0.0;
        for part in (0..scaled.slots()).step_by(stride) {
            for first in (part..part + stride).step_by(128) {
                for lane in 0..16 {
                    let slots = (first + lane..(first + 128).min(part + stride)).step_by(16);
                    let group = slots.fold(0.0, |sum, slot| {
                        add(sum, scaled.row(output)[slot], input.row(row)[slot])
                    });
                    total += f64::from(group);
                }
            }
        }
        sums.push(total);
    }
    sums
}

fn check(weights: &[f64], expected: &[f64]) {
    for (weight, expected) in weights.iter().zip(expected) {
        assert!((weight - expected).abs() < 1e-13, "{weight} {expected}");
    }
}
