//! The client's steps between two stages, forward and backward.

use sphinx_network::{Activation, Step, StepOp};

use crate::elementwise::{activate, scale_by_derivative};
use crate::pooling::{Argmax, Pooling};
use crate::tensor::Tensor;

/// What the backward pass needs of one step.
pub(super) enum Saved {
    /// Nothing: an average, or an activation whose output is the input of the next stage.
    Nothing,
    /// An activation's output.
    Outputs(Tensor),
    /// Where a max pooling took its maxima.
    Argmax(Argmax),
}

/// Carries `values` through the steps.
///
/// Activations work in place; their output moves into the tape when a later step replaces it.
pub(super) fn forward(steps: &[Step], mut values: Tensor) -> (Tensor, Vec<Saved>) {
    let mut tape = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let after_activation = index > 0 && activation(&steps[index - 1]).is_some();
        let saved = match step.op {
            StepOp::Activation(activation) => {
                if after_activation {
                    keep_outputs(&mut tape, values.clone());
                }
                activate(activation, &mut values);
                Saved::Nothing
            }
            StepOp::AvgPool { size } => {
                let pooled = pooling(step, size, size).average(&values);
                replace(&mut tape, after_activation, &mut values, pooled);
                Saved::Nothing
            }
            StepOp::MaxPool { size, stride } => {
                let (pooled, argmax) = pooling(step, size, stride).maximum(&values);
                replace(&mut tape, after_activation, &mut values, pooled);
                Saved::Argmax(argmax)
            }
        };
        tape.push(saved);
    }
    (values, tape)
}

/// Carries the gradient `delta` with respect to `output`, the last step's output, back to the first
/// step's input.
///
/// A pooling writes its gradient over the outputs of the activation before it: the largest tensor
/// of a pass is neither allocated nor read a second time.
pub(super) fn backward(
    steps: &[Step],
    mut tape: Vec<Saved>,
    output: &Tensor,
    mut delta: Tensor,
) -> Tensor {
    while let (Some(saved), Some(step)) = (tape.pop(), steps.get(tape.len())) {
        let (size, stride) = match step.op {
            StepOp::Activation(activation) => {
                let outputs = if let Saved::Outputs(outputs) = &saved { outputs } else { output };
                scale_by_derivative(activation, outputs, &mut delta);
                continue;
            }
            StepOp::AvgPool { size } => (size, size),
            StepOp::MaxPool { size, stride } => (size, stride),
        };
        let (activation, mut target) = match tape.pop_if(|saved| matches!(saved, Saved::Outputs(_)))
        {
            Some(Saved::Outputs(outputs)) => (activation(&steps[tape.len()]), outputs),
            Some(Saved::Nothing | Saved::Argmax(_)) | None => {
                (None, delta.zeros_beside(step.input.len()))
            }
        };
        let pooling = pooling(step, size, stride);
        if let Saved::Argmax(argmax) = &saved {
            pooling.maximum_backward(argmax, &delta, activation, &mut target);
        } else {
            pooling.average_backward(&delta, activation, &mut target);
        }
        delta = target;
    }
    delta
}

fn activation(step: &Step) -> Option<Activation> {
    match step.op {
        StepOp::Activation(activation) => Some(activation),
        StepOp::AvgPool { .. } | StepOp::MaxPool { .. } => None,
    }
}

fn pooling(step: &Step, size: usize, stride: usize) -> Pooling {
    Pooling { size, stride, input: step.input, output: step.output }
}

fn replace(tape: &mut [Saved], keep: bool, values: &mut Tensor, new: Tensor) {
    let old = std::mem::replace(values, new);
    if keep {
        keep_outputs(tape, old);
    }
}

fn keep_outputs(tape: &mut [Saved], outputs: Tensor) {
    if let Some(last) = tape.last_mut() {
        *last = Saved::Outputs(outputs);
    }
}
