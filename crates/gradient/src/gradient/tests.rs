use std::num::NonZeroUsize;

use pulp::{Arch, Scalar, Scalar256b, Scalar512b, Simd};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};

use super::conv::{ConvGeometry, ConvSum};
use super::tile::{Copies, Span, SpanSum, StageFactors};
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
            for (sum, own_clipped) in [
                span_sum(&factors, examples, threshold, |span| Scalar.vectorize(span)),
                span_sum(&factors, examples, threshold, |span| Scalar256b.vectorize(span)),
                span_sum(&factors, examples, threshold, |span| Scalar512b.vectorize(span)),
            ] {
                assert_eq!(own_clipped, clipped);
                for (value, expected) in sum.iter().zip(&expected) {
                    assert!((value - expected).abs() < 1e-5 * (1.0 + expected.abs()));
                }
            }
        }
    }
}

/// The convolution's weights and biases, the factors of the examples, and how many are clipped.
fn span_sum(
    stages: &[StageFactors<'_>],
    examples: usize,
    threshold: f32,
    run: impl Fn(Span<'_>) -> SpanSum,
) -> (Vec<f32>, usize) {
    let labels = [Some(0); SLOTS];
    let mut clip_factors = [0.0; SLOTS];
    let sum = run(Span {
        stages,
        first: 0,
        labels: &labels[..examples],
        copies: Copies { count: SLOTS / examples, stride: examples },
        threshold: Some(threshold),
        factors: &mut clip_factors[..examples],
    });
    assert_eq!(sum.not_finite, 0);
    let convs = sum.convs.iter().flatten().collect::<Vec<_>>();
    let mut values = clip_factors.to_vec();
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
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let expected = dot(output.as_slice(), delta.as_slice());
        let got = dot(&gradient.weights[0], &parameters.weights)
            + dot(&gradient.biases[0], &parameters.biases);
        assert!((got - expected).abs() < 1e-4 * expected.abs().max(1.0), "{got} {expected}");
    }
}
