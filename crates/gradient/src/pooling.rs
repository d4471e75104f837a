//! Average and maximum over windows of a feature map, and their transposes.
//!
//! Cost: one read of the larger tensor and one write of the smaller, or the other way round.

use rayon::prelude::*;
use sphinx_network::{Activation, Shape};

use crate::elementwise::differentiate;
use crate::tensor::Tensor;

/// Windows of `size × size` that do not overlap and fill the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    pub(crate) size: usize,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
}

/// Where a window took its maximum, `dy * size + dx`, by window and slot.
pub(crate) struct Argmax(Vec<u8>);

/// The window that an input row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The output row.
    pub(crate) window: usize,
    /// `dy * size + dx`.
    pub(crate) position: usize,
}

impl Pooling {
    /// The largest window whose positions fit [`Argmax`].
    pub(crate) const MAX_SIZE: usize = 16;

    /// 1 / number of inputs of a window.
    pub(crate) fn share(&self) -> f32 {
        1.0 / (self.size * self.size) as f32
    }

    /// The window of an input row.
    pub(crate) fn membership(&self, row: usize) -> Membership {
        let (line, x) = (row / self.input.width, row % self.input.width);
        let (channel, y) = (line / self.input.height, line % self.input.height);
        let (window_y, window_x) = (y / self.size, x / self.size);
        Membership {
            window: (channel * self.output.height + window_y) * self.output.width + window_x,
            position: y % self.size * self.size + x % self.size,
        }
    }

    /// The mean of every window.
    pub(crate) fn average(&self, input: &Tensor) -> Tensor {
        let mut output = input.zeros_beside(self.output.len());
        let (slots, share) = (input.slots(), self.share());
        output.as_mut_slice().par_chunks_mut(slots).enumerate().for_each(|(window, mean)| {
            for row in self.rows(window) {
                mean.iter_mut().zip(input.row(row)).for_each(|(sum, &value)| *sum += value);
            }
            mean.iter_mut().for_each(|sum| *sum *= share);
        });
        output
    }

    /// The maximum of every window and where it was; the first of equal ones.
    pub(crate) fn maximum(&self, input: &Tensor) -> (Tensor, Argmax) {
        let mut output = input.zeros_beside(self.output.len());
        let slots = input.slots();
        let mut argmax = vec![0u8; self.output.len() * slots];
        let rows = output.as_mut_slice().par_chunks_mut(slots);
        rows.zip(argmax.par_chunks_mut(slots)).enumerate().for_each(|(window, (max, argmax))| {
            for (position, row) in (0u8..=u8::MAX).zip(self.rows(window)) {
                let values = input.row(row);
                if position == 0 {
                    max.copy_from_slice(values);
                    continue;
                }
                for ((max, argmax), &value) in max.iter_mut().zip(argmax.iter_mut()).zip(values) {
                    let larger = value > *max;
                    *max = if larger { value } else { *max };
                    *argmax = if larger { position } else { *argmax };
                }
            }
        });
        (output, Argmax(argmax))
    }

    /// Transpose of [`Self::average`] applied to `delta`, times the derivative of the activation before it.
    ///
    /// `outputs` holds that activation's outputs and receives the result; without one, its content is ignored.
    pub(crate) fn average_backward(
        &self,
        delta: &Tensor,
        activation: Option<Activation>,
        outputs: &mut Tensor,
    ) {
        let (slots, share) = (delta.slots(), self.share());
        outputs.as_mut_slice().par_chunks_mut(slots).enumerate().for_each(|(row, target)| {
            let Membership { window, .. } = self.membership(row);
            differentiate(activation, target);
            target.iter_mut().zip(delta.row(window)).for_each(|(d, &delta)| *d *= share * delta);
        });
    }

    /// As [`Self::average_backward`], for [`Self::maximum`].
    pub(crate) fn maximum_backward(
        &self,
        argmax: &Argmax,
        delta: &Tensor,
        activation: Option<Activation>,
        outputs: &mut Tensor,
    ) {
        let slots = delta.slots();
        outputs.as_mut_slice().par_chunks_mut(slots).enumerate().for_each(|(row, target)| {
            let Membership { window, position } = self.membership(row);
            differentiate(activation, target);
            let argmax = &argmax.0[window * slots..][..slots];
            for ((d, &delta), &at) in target.iter_mut().zip(delta.row(window)).zip(argmax) {
                *d = if usize::from(at) == position { *d * delta } else { 0.0 };
            }
        });
    }

    /// The input rows of a window, in the order of their positions.
    fn rows(self, window: usize) -> impl Iterator<Item = usize> {
        let (line, x) = (window / self.output.width, window % self.output.width);
        let (channel, y) = (line / self.output.height, line % self.output.height);
        let first =
            (channel * self.input.height + y * self.size) * self.input.width + x * self.size;
        (0..self.size)
            .flat_map(move |dy| (0..self.size).map(move |dx| first + dy * self.input.width + dx))
    }
}

#[cfg(test)]
mod tests {
    use sphinx_network::Shape;

    use super::{Membership, Pooling};
    use crate::tensor::Tensor;

    fn pooling() -> Pooling {
        Pooling { size: 2, input: Shape::new(2, 4, 4), output: Shape::new(2, 2, 2) }
    }

    #[test]
    fn rows_and_membership_are_inverse() {
        let pooling = pooling();
        let mut seen = 0;
        for window in 0..pooling.output.len() {
            for (position, row) in pooling.rows(window).enumerate() {
                assert_eq!(pooling.membership(row), Membership { window, position });
                seen += 1;
            }
        }
        assert_eq!(seen, pooling.input.len());
    }

    #[test]
    fn backward_is_the_transpose_of_average() {
        let pooling = pooling();
        let ramp = |rows: usize| {
            Tensor::new(rows, 16, (0..rows * 16).map(|i| (i * 7 % 23) as f32).collect()).unwrap()
        };
        let (x, delta) = (ramp(32), ramp(8));
        let mut spread = Tensor::zeros(32, 16).unwrap();
        pooling.average_backward(&delta, None, &mut spread);
        let dot = |a: &Tensor, b: &Tensor| -> f32 {
            a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
        };
        assert_eq!(dot(&pooling.average(&x), &delta), dot(&x, &spread));
    }

    #[test]
    fn maximum_sends_the_delta_to_the_first_of_equal_values() {
        let pooling = Pooling { size: 2, input: Shape::new(1, 2, 2), output: Shape::new(1, 1, 1) };
        let rows = [[1.0f32; 16], [3.0; 16], [3.0; 16], [2.0; 16]];
        let input = Tensor::new(4, 16, rows.concat()).unwrap();
        let (max, argmax) = pooling.maximum(&input);
        assert_eq!(max.row(0), [3.0; 16]);
        let mut delta = Tensor::zeros(4, 16).unwrap();
        pooling.maximum_backward(&argmax, &max, None, &mut delta);
        assert_eq!((delta.row(1), delta.row(2)), (&[3.0; 16][..], &[0.0; 16][..]));
    }
}
