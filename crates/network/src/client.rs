//! The client's part between two stages, for single images in the clear.

use crate::plan::{ClientOp, ClientStep};

/// Carries one sample through `steps`; `values` is laid out as the first step's input shape.
///
/// The reference for the client's batched code, and the code of its online recognition.
pub fn client_forward(steps: &[ClientStep], mut values: Vec<f32>) -> Vec<f32> {
    for step in steps {
        match step.op {
            ClientOp::Activation(activation) => {
                values.iter_mut().for_each(|value| *value = activation.apply(*value));
            }
            ClientOp::AvgPool { size } => {
                let share = 1.0 / (size * size) as f32;
                values = pool(step, &values, size, 0.0, |sum, value| sum + value);
                values.iter_mut().for_each(|sum| *sum *= share);
            }
            ClientOp::MaxPool { size } => {
                values = pool(step, &values, size, f32::NEG_INFINITY, f32::max);
            }
        }
    }
    values
}

/// Folds every window of `size × size` line by line, so that the order of the sum is fixed.
fn pool(
    step: &ClientStep,
    values: &[f32],
    size: usize,
    start: f32,
    fold: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let mut pooled = vec![start; step.output.len()];
    for (line, source) in values.chunks_exact(step.input.width).enumerate() {
        // The size divides the height, so lines of one channel never share a window with the next channel's.
        let target = &mut pooled[line / size * step.output.width..][..step.output.width];
        for (folded, window) in target.iter_mut().zip(source.chunks_exact(size)) {
            *folded = window.iter().fold(*folded, |folded, &value| fold(folded, value));
        }
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::client_forward;
    use crate::{Activation, ClientOp, ClientStep, Shape};

    #[test]
    fn pools_each_window_of_each_channel() {
        let (input, output) = (Shape::new(2, 2, 4), Shape::new(2, 1, 2));
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let step = |op| [ClientStep { op, input, output }];
        let mean = client_forward(&step(ClientOp::AvgPool { size: 2 }), values.clone());
        assert_eq!(mean, [2.5, 4.5, 10.5, 12.5]);
        let max = client_forward(&step(ClientOp::MaxPool { size: 2 }), values);
        assert_eq!(max, [5.0, 7.0, 13.0, 15.0]);
    }

    #[test]
    fn steps_follow_each_other() {
        let (input, output) = (Shape::new(1, 2, 2), Shape::new(1, 1, 1));
        let steps = [
            ClientStep {
                op: ClientOp::Activation(Activation::Relu { cap: 3.0 }),
                input,
                output: input,
            },
            ClientStep { op: ClientOp::AvgPool { size: 2 }, input, output },
        ];
        assert_eq!(client_forward(&steps, vec![-1.0, 2.0, 5.0, 3.0]), [2.0]);
    }
}
