//! Networks for tests, a driver of the clear twin, and a reference in `f64` written without any
//! layout trick.
#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_gradient::{BlockPass, ClearStage, Tensor};
use sphinx_network::{
    Activation, LayerSpec, Linear, NetworkSpec, Plan, Shape, Stage, StageParameters, Step, StepOp,
    initial_parameters,
};

pub const SLOTS: usize = 48;

pub struct Case {
    pub name: &'static str,
    pub plan: Arc<Plan>,
    pub parameters: Vec<StageParameters>,
    pub images: Tensor,
    pub labels: Vec<Option<u8>>,
}

/// Every layer, pool and activation at least once. Slots 5, 6 and the last ten are padding.
pub fn cases() -> Vec<Case> {
    let conv = |out_channels, kernel, stride, padding| LayerSpec::Conv {
        out_channels,
        kernel,
        stride,
        padding,
        filters: sphinx_network::Filters::Random,
    };
    let dense = |outputs| LayerSpec::Dense { outputs };
    let (avg, max) = (LayerSpec::AvgPool { size: 2 }, LayerSpec::MaxPool { size: 2, stride: None });
    let relu = LayerSpec::Relu { cap: 0.4 };
    let map = Shape::new(2, 7, 7);
    vec![
        case("dense", Shape::new(1, 2, 3), vec![dense(5), LayerSpec::Tanh, dense(3)]),
        case("single", Shape::new(1, 2, 3), vec![dense(3)]),
        case("strided", map, vec![conv(3, 3, 2, 1), LayerSpec::Tanh, dense(4)]),
        case(
            "two convolutions",
            Shape::new(1, 8, 8),
            vec![
                conv(5, 3, 1, 0),
                LayerSpec::Tanh,
                avg.clone(),
                conv(2, 2, 1, 1),
                LayerSpec::Sigmoid,
                dense(6),
                relu.clone(),
                dense(3),
            ],
        ),
        case(
            "folded pool",
            Shape::new(1, 8, 8),
            vec![
                conv(2, 3, 1, 1),
                avg.clone(),
                LayerSpec::Sigmoid,
                conv(3, 3, 1, 0),
                avg,
                LayerSpec::Tanh,
                dense(3),
            ],
        ),
        case(
            "max pool",
            Shape::new(1, 6, 6),
            vec![
                conv(4, 3, 1, 1),
                max.clone(),
                LayerSpec::Tanh,
                conv(3, 2, 1, 1),
                relu,
                max,
                LayerSpec::Flatten,
                dense(3),
            ],
        ),
        case(
            "overlapping max pool",
            Shape::new(1, 6, 6),
            vec![
                conv(4, 3, 1, 1),
                LayerSpec::Tanh,
                LayerSpec::MaxPool { size: 2, stride: Some(1) },
                conv(3, 2, 1, 0),
                LayerSpec::MaxPool { size: 2, stride: Some(2) },
                LayerSpec::Tanh,
                dense(3),
            ],
        ),
        case(
            "activation twice",
            Shape::new(1, 2, 3),
            vec![dense(4), LayerSpec::Sigmoid, LayerSpec::Tanh, dense(3)],
        ),
    ]
}

pub fn case(name: &'static str, input: Shape, layers: Vec<LayerSpec>) -> Case {
    let spec = NetworkSpec { name: name.to_owned(), input, layers, bias_bound: 4.0 };
    let plan = Arc::new(Plan::new(&spec).unwrap());
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let mut parameters = initial_parameters(&plan, &mut rng);
    for stage in &mut parameters {
        stage.biases.iter_mut().for_each(|bias| *bias = 0.4 * rng.random::<f32>() - 0.2);
    }
    let pixels = (0..input.len() * SLOTS).map(|_| rng.random::<f32>()).collect();
    let images = Tensor::new(input.len(), SLOTS, pixels).unwrap();
    let is_padding = |slot: usize| slot == 5 || slot == 6 || slot >= SLOTS - 10;
    let class = |slot: usize| (slot * 7 % plan.classes) as u8;
    let labels = (0..SLOTS).map(|slot| (!is_padding(slot)).then(|| class(slot))).collect();
    Case { name, plan, parameters, images, labels }
}

/// A whole step with the clear twin as the server; what is left is to read the gradient.
pub fn run(case: &Case, labels: &[Option<u8>]) -> BlockPass {
    let layers: Vec<ClearStage> = case.plan.stages.iter().map(ClearStage::new).collect();
    let mut pass = BlockPass::new(Arc::clone(&case.plan), &case.images, labels).unwrap();
    for (stage, layer) in layers.iter().enumerate() {
        let z = layer.forward(&case.parameters[stage], pass.input(stage).unwrap()).unwrap();
        pass.absorb(stage, z).unwrap();
    }
    for stage in (1..layers.len()).rev() {
        let delta = pass.delta(stage).unwrap();
        let e = layers[stage].backward(&case.parameters[stage], &delta.tensor).unwrap();
        pass.absorb_backward(stage, e).unwrap();
    }
    pass
}

/// All labels but one removed.
pub fn only(case: &Case, slot: usize) -> Vec<Option<u8>> {
    (0..SLOTS).map(|other| case.labels[other].filter(|_| other == slot)).collect()
}

/// Weights and biases of all stages in one row.
pub fn flat(weights: &[Vec<f64>], biases: &[Vec<f64>]) -> Vec<f64> {
    let stages = weights.iter().zip(biases);
    stages.flat_map(|(w, b)| w.iter().chain(b)).copied().collect()
}

pub fn flat_parameters(case: &Case) -> Vec<f64> {
    let stages = case.parameters.iter();
    stages.flat_map(|s| s.weights.iter().chain(&s.biases)).map(|&value| f64::from(value)).collect()
}

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The cross-entropy of the example in `slot` under the parameters `flat`, and its predicted class.
pub fn reference(case: &Case, flat: &[f64], slot: usize, label: u8) -> (f64, usize) {
    let pixels = (0..case.plan.input.len()).map(|row| f64::from(case.images.row(row)[slot]));
    let mut values = reference_steps(&case.plan.input_steps, pixels.collect());
    let mut rest = flat;
    for stage in &case.plan.stages {
        let (weights, tail) = rest.split_at(stage.linear.weight_count());
        let (biases, tail) = tail.split_at(stage.linear.bias_count());
        rest = tail;
        values = reference_linear(stage, weights, biases, &values);
        if let Some(size) = stage.pool {
            values = reference_pool(stage.linear_output, [size; 2], &values, mean);
        }
        values = reference_steps(&stage.steps, values);
    }
    let sum: f64 = values.iter().map(|logit| logit.exp()).sum();
    let best = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    (sum.ln() - values[usize::from(label)], best)
}

fn reference_steps(steps: &[Step], mut values: Vec<f64>) -> Vec<f64> {
    for step in steps {
        values = match step.op {
            StepOp::Activation(activation) => {
                values.into_iter().map(|z| reference_activation(activation, z)).collect()
            }
            StepOp::AvgPool { size } => reference_pool(step.input, [size; 2], &values, mean),
            StepOp::MaxPool { size, stride } => {
                reference_pool(step.input, [size, stride], &values, |window| {
                    window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
                })
            }
        };
    }
    values
}

fn reference_activation(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Tanh => z.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Relu { cap } => z.clamp(0.0, f64::from(cap)),
        // No difference quotient follows its straight-through gradient.
        Activation::QuantisedTanh { .. } => f64::from(activation.apply(z as f32)),
    }
}

fn mean(window: &[f64]) -> f64 {
    window.iter().sum::<f64>() / window.len() as f64
}

fn reference_pool(
    shape: Shape,
    [size, stride]: [usize; 2],
    values: &[f64],
    reduce: impl Fn(&[f64]) -> f64,
) -> Vec<f64> {
    let mut pooled = Vec::new();
    for channel in 0..shape.channels {
        for y in (0..=shape.height - size).step_by(stride) {
            for x in (0..=shape.width - size).step_by(stride) {
                let at =
                    |k: usize| (channel * shape.height + y + k / size) * shape.width + x + k % size;
                let window: Vec<f64> = (0..size * size).map(|k| values[at(k)]).collect();
                pooled.push(reduce(&window));
            }
        }
    }
    pooled
}

fn reference_linear(stage: &Stage, weights: &[f64], biases: &[f64], values: &[f64]) -> Vec<f64> {
    let Linear::Conv { in_channels, kernel, stride, padding, .. } = stage.linear else {
        let rows = weights.chunks(values.len()).zip(biases);
        return rows
            .map(|(row, bias)| bias + row.iter().zip(values).map(|(w, a)| w * a).sum::<f64>())
            .collect();
    };
    let (input, output) = (stage.input, stage.linear_output);
    let pixel = |channel: usize, y: usize, x: usize| {
        let inside = |at: usize, side: usize| at >= padding && at - padding < side;
        if inside(y, input.height) && inside(x, input.width) {
            values[(channel * input.height + y - padding) * input.width + x - padding]
        } else {
            0.0
        }
    };
    let mut sums = Vec::new();
    for (out, bias) in biases.iter().enumerate() {
        for y in 0..output.height {
            for x in 0..output.width {
                let mut sum = *bias;
                for channel in 0..in_channels {
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let w = ((out * in_channels + channel) * kernel + ky) * kernel + kx;
                            sum += weights[w] * pixel(channel, y * stride + ky, x * stride + kx);
                        }
                    }
                }
                sums.push(sum);
            }
        }
    }
    sums
}
