//! Average and maximum over windows of a feature map, and their transposes.
//!
//! Cost: one read of the larger tensor and one write of the smaller, or the other way round.

use rayon::prelude::*;
use sphinx_network::{Activation, Shape};

use crate::elementwise::differentiate;
use crate::tensor::Tensor;

/// Windows of `size × size` that fill the input; they overlap where `stride < size`, only a maximum
/// may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    pub(crate) size: usize,
    /// Distance between two windows.
    pub(crate) stride: usize,
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

    /// The window of an input row, where windows do not overlap.
    pub(crate) fn membership(&self, row: usize) -> Membership {
        let (line, x) = (row / self.input.width, row % self.input.width);
        let (channel, y) = (line / self.input.height, line % self.input.height);
        self.member(channel, (y / self.size, y % self.size), (x / self.size, x % self.size))
    }

    /// All windows of an input row; at most one per position of a window.
    fn memberships(&self, row: usize) -> impl Iterator<Item = Membership> {
        let Self { size, stride, output, .. } = *self;
        let (line, x) = (row / self.input.width, row % self.input.width);
        let (channel, y) = (line / self.input.height, line % self.input.height);
        let reaching = move |at: usize, windows: usize| {
            let first = (at + 1).saturating_sub(size).div_ceil(stride);
            (first..=(at / stride).min(windows - 1))
                .map(move |window| (window, at - window * stride))
        };
        reaching(y, output.height).flat_map(move |line| {
            reaching(x, output.width).map(move |column| self.member(channel, line, column))
        })
    }

    /// A window by its channel, line and column, with the offsets within it.
    fn member(&self, channel: usize, line: (usize, usize), column: (usize, usize)) -> Membership {
        Membership {
            window: (channel * self.output.height + line.0) * self.output.width + column.0,
            position: line.1 * self.size + column.1,
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

    /// Transpose of [`Self::average`] applied to `delta`, times the derivative of the activation
    /// before it.
    ///
    /// `outputs` holds that activation's outputs and receives the result; without one, its content
    /// is ignored.
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
            differentiate(activation, target);
            if self.stride == self.size {
                let Membership { window, position } = self.membership(row);
                let argmax = &argmax.0[window * slots..][..slots];
                for ((d, &delta), &at) in target.iter_mut().zip(delta.row(window)).zip(argmax) {
                    *d = if usize::from(at) == position { *d * delta } else { 0.0 };
                }
                return;
            }
            let mut sums = vec![0.0; slots];
            for Membership { window, position } in self.memberships(row) {
                let argmax = &argmax.0[window * slots..][..slots];
                for ((sum, &delta), &at) in sums.iter_mut().zip(delta.row(window)).zip(argmax) {
                    *sum += if usize::from(at) == position { delta } else { 0.0 };
                }
            }
            target.iter_mut().zip(sums).for_each(|(d, sum)| *d *= sum);
        });
    }

    /// The input rows of a window, in the order of their positions.
    fn rows(self, window: usize) -> impl Iterator<Item = usize> {
        let (line, x) = (window / self.output.width, window % self.output.width);
        let (channel, y) = (line / self.output.height, line % self.output.height);
        let first =
            (channel * self.input.height + y * self.stride) * self.input.width + x * self.stride;
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
        Pooling { size: 2, stride: 2, input: Shape::new(2, 4, 4), output: Shape::new(2, 2, 2) }
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
    fn rows_of_overlapping_windows_know_all_of_them() {
        for (size, stride, side) in [(2, 1, 5), (3, 2, 7), (3, 1, 3)] {
            let (input, windows) = (Shape::new(2, side, side), (side - size) / stride + 1);
            let pooling = Pooling { size, stride, input, output: Shape::new(2, windows, windows) };
            let mut seen = 0;
            for window in 0..pooling.output.len() {
                for (position, row) in pooling.rows(window).enumerate() {
                    let expected = Membership { window, position };
                    assert!(pooling.memberships(row).any(|member| member == expected));
                    seen += 1;
                }
            }
            assert_eq!(seen, (0..input.len()).flat_map(|row| pooling.memberships(row)).count());
        }
    }

    #[test]
    fn overlapping_windows_add_their_deltas_where_they_share_a_maximum() {
        let (input, output) = (Shape::new(1, 2, 3), Shape::new(1, 1, 2));
        let pooling = Pooling { size: 2, stride: 1, input, output };
        let rows = [[1.0f32; 16], [5.0; 16], [3.0; 16], [2.0; 16], [0.0; 16], [4.0; 16]];
        let (max, argmax) = pooling.maximum(&Tensor::new(6, 16, rows.concat()).unwrap());
        assert_eq!((max.row(0), max.row(1)), (&[5.0; 16][..], &[5.0; 16][..]));
        let delta = Tensor::new(2, 16, [[0.5; 16], [0.25; 16]].concat()).unwrap();
        let mut spread = Tensor::new(6, 16, vec![1.0; 96]).unwrap();
        pooling.maximum_backward(&argmax, &delta, None, &mut spread);
        let sums: Vec<f32> = (0..6).map(|row| spread.row(row)[3]).collect();
        assert_eq!(sums, [0.0, 0.75, 0.0, 0.0, 0.0, 0.0]);
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
        let (input, output) = (Shape::new(1, 2, 2), Shape::new(1, 1, 1));
        let pooling = Pooling { size: 2, stride: 2, input, output };
        let rows = [[1.0f32; 16], [3.0; 16], [3.0; 16], [2.0; 16]];
        let input = Tensor::new(4, 16, rows.concat()).unwrap();
        let (max, argmax) = pooling.maximum(&input);
        assert_eq!(max.row(0), [3.0; 16]);
        let mut delta = Tensor::zeros(4, 16).unwrap();
        pooling.maximum_backward(&argmax, &max, None, &mut delta);
        assert_eq!((delta.row(1), delta.row(2)), (&[3.0; 16][..], &[0.0; 16][..]));
    }
}
