//! What lies between two linear layers, and its evaluation on single samples in the clear.

use crate::activation::Activation;
use crate::spec::Shape;

/// What is done to values between two linear layers: by the client to decrypted ones, or by the
/// server to encrypted ones in recognition in one shot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepOp {
    /// A non-linearity on every scalar.
    Activation(Activation),
    /// Mean over windows of `size × size`.
    AvgPool {
        /// Side of the window.
        size: usize,
    },
    /// Maximum over windows of `size × size`.
    MaxPool {
        /// Side of the window.
        size: usize,
        /// Distance between two windows; less than the size if they overlap.
        stride: usize,
    },
}

/// An operation between two linear layers with its shapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What is done.
    pub op: StepOp,
    /// Shape before it.
    pub input: Shape,
    /// Shape after it.
    pub output: Shape,
}

/// Carries one sample through `steps`; `values` is laid out as the first step's input shape.
///
/// The reference for the client's batched code, and the code of its online recognition.
pub fn apply_steps(steps: &[Step], mut values: Vec<f32>) -> Vec<f32> {
    for step in steps {
        match step.op {
            StepOp::Activation(activation) => {
                values.iter_mut().for_each(|value| *value = activation.apply(*value));
            }
            StepOp::AvgPool { size } => {
                let share = 1.0 / (size * size) as f32;
                values = pool(step, &values, size, size, 0.0, |sum, value| sum + value);
                values.iter_mut().for_each(|sum| *sum *= share);
            }
            StepOp::MaxPool { size, stride } => {
                values = pool(step, &values, size, stride, f32::NEG_INFINITY, f32::max);
            }
        }
    }
    values
}

/// Folds every window of `size × size`, `stride` apart, line by line, so that the order of the sum
/// is fixed.
fn pool(
    step: &Step,
    values: &[f32],
    size: usize,
    stride: usize,
    start: f32,
    fold: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let (input, output) = (step.input, step.output);
    let mut pooled = vec![start; output.len()];
    for (line, target) in pooled.chunks_exact_mut(output.width).enumerate() {
        let (channel, y) = (line / output.height, line % output.height);
        let first = channel * input.height + y * stride;
        for source in values.chunks_exact(input.width).skip(first).take(size) {
            for (folded, window) in target.iter_mut().zip(source.windows(size).step_by(stride)) {
                *folded = window.iter().fold(*folded, |folded, &value| fold(folded, value));
            }
        }
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_each_window_of_each_channel() {
        let (input, output) = (Shape::new(2, 2, 4), Shape::new(2, 1, 2));
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let step = |op| [Step { op, input, output }];
        let mean = apply_steps(&step(StepOp::AvgPool { size: 2 }), values.clone());
        assert_eq!(mean, [2.5, 4.5, 10.5, 12.5]);
        let max = apply_steps(&step(StepOp::MaxPool { size: 2, stride: 2 }), values.clone());
        assert_eq!(max, [5.0, 7.0, 13.0, 15.0]);
        let overlapping =
            Step { op: StepOp::MaxPool { size: 2, stride: 1 }, input, output: Shape::new(2, 1, 3) };
        let max = apply_steps(&[overlapping], values);
        assert_eq!(max, [5.0, 6.0, 7.0, 13.0, 14.0, 15.0]);
    }

    #[test]
    fn steps_follow_each_other() {
        let (input, output) = (Shape::new(1, 2, 2), Shape::new(1, 1, 1));
        let steps = [
            Step { op: StepOp::Activation(Activation::Relu { cap: 3.0 }), input, output: input },
            Step { op: StepOp::AvgPool { size: 2 }, input, output },
        ];
        assert_eq!(apply_steps(&steps, vec![-1.0, 2.0, 5.0, 3.0]), [2.0]);
    }
}
