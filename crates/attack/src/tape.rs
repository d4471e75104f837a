//! One example through a network and back, on any [`Number`].

use sphinx_network::{Linear, Shape};

use crate::dual::Number;

/// A linear layer with the average pool folded into it, and the smooth steps up to the next one.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub linear: Linear,
    pub input: Shape,
    pub linear_output: Shape,
    pub steps: Vec<Step>,
}

/// A step that can be differentiated twice.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Tanh,
    Sigmoid,
    Pool { size: usize, input: Shape, output: Shape },
}

/// A run of weights' products: `output[out + k] += weight · input[inp + k · stride]` for k below
/// `count`.
struct Run {
    weight: usize,
    out: usize,
    inp: usize,
    count: usize,
}

impl Layer {
    /// Visits every product of the layer once.
    fn runs(&self, mut visit: impl FnMut(Run)) {
        let (input, output) = (self.input, self.linear_output);
        match self.linear {
            Linear::Dense { inputs, outputs } => {
                for weight in 0..inputs * outputs {
                    visit(Run { weight, out: weight / inputs, inp: weight % inputs, count: 1 });
                }
            }
            Linear::Conv { in_channels, out_channels, kernel, stride, padding } => {
                for weight in 0..out_channels * in_channels * kernel * kernel {
                    let (kx, rest) = (weight % kernel, weight / kernel);
                    let (ky, rest) = (rest % kernel, rest / kernel);
                    let (ic, oc) = (rest % in_channels, rest / in_channels);
                    let xs = inside(kx, input.width, output.width, stride, padding);
                    for oy in inside(ky, input.height, output.height, stride, padding) {
                        let (iy, ix) = (oy * stride + ky - padding, xs.start * stride + kx);
                        let out = (oc * output.height + oy) * output.width + xs.start;
                        let inp = (ic * input.height + iy) * input.width + ix - padding;
                        visit(Run { weight, out, inp, count: xs.len() });
                    }
                }
            }
        }
    }

    fn stride(&self) -> usize {
        match self.linear {
            Linear::Dense { .. } => 1,
            Linear::Conv { stride, .. } => stride,
        }
    }

    pub fn forward<N: Number>(&self, weights: &[N], biases: &[N], input: &[N]) -> Vec<N> {
        let area = self.linear_output.len() / biases.len();
        let mut output: Vec<N> =
            (0..self.linear_output.len()).map(|at| biases[at / area]).collect();
        if let Linear::Dense { inputs, .. } = self.linear {
            for (output, weights) in output.iter_mut().zip(weights.chunks_exact(inputs)) {
                *output += dot(weights, input);
            }
            return output;
        }
        let stride = self.stride();
        self.runs(|run| {
            let weight = weights[run.weight];
            let output = &mut output[run.out..][..run.count];
            if stride == 1 {
                let input = &input[run.inp..][..run.count];
                output.iter_mut().zip(input).for_each(|(output, &input)| *output += weight * input);
            } else {
                let input = input[run.inp..].iter().step_by(stride);
                output.iter_mut().zip(input).for_each(|(output, &input)| *output += weight * input);
            }
        });
        output
    }

    /// Gradient at the input from that at the output.
    pub fn backward<N: Number>(&self, weights: &[N], delta: &[N]) -> Vec<N> {
        let mut input = vec![N::constant(0.0); self.input.len()];
        if let Linear::Dense { inputs, .. } = self.linear {
            for (&delta, weights) in delta.iter().zip(weights.chunks_exact(inputs)) {
                input.iter_mut().zip(weights).for_each(|(input, &w)| *input += w * delta);
            }
            return input;
        }
        let stride = self.stride();
        self.runs(|run| {
            let weight = weights[run.weight];
            let delta = &delta[run.out..][..run.count];
            let input = input[run.inp..].iter_mut().step_by(stride);
            input.zip(delta).for_each(|(input, &delta)| *input += weight * delta);
        });
        input
    }

    /// Gradients of weights and biases.
    pub fn parameters<N: Number>(&self, input: &[N], delta: &[N]) -> (Vec<N>, Vec<N>) {
        let channels = self.linear.bias_count();
        let area = delta.len() / channels;
        let sum = |values: &[N]| values.iter().fold(N::constant(0.0), |sum, &value| sum + value);
        let biases = delta.chunks_exact(area).map(sum).collect();
        let mut weights = vec![N::constant(0.0); self.linear.weight_count()];
        let stride = self.stride();
        self.runs(|run| {
            let mut total = N::constant(0.0);
            let input = input[run.inp..].iter().step_by(stride);
            for (&delta, &input) in delta[run.out..][..run.count].iter().zip(input) {
                total += delta * input;
            }
            weights[run.weight] += total;
        });
        (weights, biases)
    }
}

impl Step {
    pub fn forward<N: Number>(self, values: &[N]) -> Vec<N> {
        match self {
            Self::Tanh => values.iter().map(|value| value.tanh()).collect(),
            Self::Sigmoid => values.iter().map(|&value| sigmoid(value)).collect(),
            Self::Pool { size, input, output } => {
                let mut pooled = vec![N::constant(0.0); output.len()];
                let share = N::constant(1.0 / (size * size) as f64);
                for (at, &value) in values.iter().enumerate() {
                    pooled[window(at, size, input, output)] += value * share;
                }
                pooled
            }
        }
    }

    /// `outputs` are what the step returned.
    pub fn backward<N: Number>(self, outputs: &[N], delta: Vec<N>) -> Vec<N> {
        let one = N::constant(1.0);
        let scaled = |derivative: &dyn Fn(N) -> N| {
            delta.iter().zip(outputs).map(|(&delta, &a)| delta * derivative(a)).collect()
        };
        match self {
            Self::Tanh => scaled(&|a| one - a * a),
            Self::Sigmoid => scaled(&|a| a * (one - a)),
            Self::Pool { size, input, output } => {
                let share = N::constant(1.0 / (size * size) as f64);
                (0..input.len()).map(|at| delta[window(at, size, input, output)] * share).collect()
            }
        }
    }
}

/// Softmax cross-entropy against the probabilities `target`: loss, gradient at the logits, gradient
/// at `target`.
pub(crate) fn cross_entropy<N: Number>(logits: &[N], target: &[N]) -> (N, Vec<N>, Vec<N>) {
    let zero = N::constant(0.0);
    let largest = logits.iter().map(|logit| logit.value()).fold(f64::NEG_INFINITY, f64::max);
    let shifted: Vec<N> = logits.iter().map(|&logit| logit - N::constant(largest)).collect();
    let total = shifted.iter().fold(zero, |sum, logit| sum + logit.exp());
    let (log_total, share) = (total.ln(), total.recip());
    let surprise: Vec<N> = shifted.iter().map(|&logit| log_total - logit).collect();
    let loss = surprise.iter().zip(target).fold(zero, |sum, (&s, &p)| sum + s * p);
    let mass = target.iter().fold(zero, |sum, &p| sum + p);
    let delta = shifted.iter().zip(target).map(|(&z, &p)| z.exp() * share * mass - p).collect();
    (loss, delta, surprise)
}

fn sigmoid<N: Number>(value: N) -> N {
    let half = N::constant(0.5);
    half + half * (value * half).tanh()
}

fn dot<N: Number>(a: &[N], b: &[N]) -> N {
    a.iter().zip(b).fold(N::constant(0.0), |sum, (&a, &b)| sum + a * b)
}

/// Output positions at which the kernel's line or column `offset` lies inside the input.
fn inside(
    offset: usize,
    input: usize,
    output: usize,
    stride: usize,
    padding: usize,
) -> std::ops::Range<usize> {
    let first = padding.saturating_sub(offset).div_ceil(stride);
    let end = (input + padding).saturating_sub(offset).div_ceil(stride).min(output);
    first.min(end)..end
}

/// The output row that an input row is averaged into.
fn window(at: usize, size: usize, input: Shape, output: Shape) -> usize {
    let (line, x) = (at / input.width, at % input.width);
    let (channel, y) = (line / input.height, line % input.height);
    (channel * output.height + y / size) * output.width + x / size
}
