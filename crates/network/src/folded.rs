//! The shape of a stage's linear map, average pooling folded in.

use crate::plan::{Linear, Stage};

/// A stage as one convolution: of a map with its padding around it, with the mean over pooled
/// windows in its weights. A dense layer is a convolution of maps of one scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldedStage {
    /// Channels of the input.
    pub channels: usize,
    /// Lines of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Lines and columns of zeros on each side.
    pub padding: usize,
    /// Side of the folded kernel.
    pub side: usize,
    /// Distance between two positions of the folded kernel.
    pub stride: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Side of the kernel before folding.
    kernel: usize,
    /// Distance between two positions of the kernel before folding.
    step: usize,
    /// Side of the folded pooling window; 1 without.
    pool: usize,
}

impl FoldedStage {
    /// The shape of `stage`.
    pub fn new(stage: &Stage) -> Self {
        let pool = stage.pool.unwrap_or(1);
        match stage.linear {
            Linear::Dense { inputs, outputs } => Self {
                channels: inputs,
                height: 1,
                width: 1,
                padding: 0,
                side: 1,
                stride: 1,
                outputs,
                kernel: 1,
                step: 1,
                pool: 1,
            },
            Linear::Conv { in_channels, out_channels, kernel, stride, padding } => Self {
                channels: in_channels,
                height: stage.input.height,
                width: stage.input.width,
                padding,
                side: kernel + (pool - 1) * stride,
                stride: stride * pool,
                outputs: out_channels,
                kernel,
                step: stride,
                pool,
            },
        }
    }

    const fn padded_height(&self) -> usize {
        self.height + 2 * self.padding
    }

    const fn padded_width(&self) -> usize {
        self.width + 2 * self.padding
    }

    /// Scalars of the input, padding included.
    pub const fn padded_len(&self) -> usize {
        self.channels.saturating_mul(self.padded_height()).saturating_mul(self.padded_width())
    }

    /// The place of every scalar of the input, in order, in the padded input.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        let lines = (0..self.channels).flat_map(move |c| (0..self.height).map(move |y| (c, y)));
        lines.flat_map(move |(c, y)| {
            let line = (c * self.padded_height() + y + self.padding) * self.padded_width();
            (0..self.width).map(move |x| line + x + self.padding)
        })
    }

    /// The place of every kernel tap in the padded input, the kernel being at its first position.
    pub fn taps(self) -> impl Iterator<Item = usize> {
        let lines = (0..self.channels).flat_map(move |c| (0..self.side).map(move |y| (c, y)));
        lines.flat_map(move |(c, y)| {
            let line = (c * self.padded_height() + y) * self.padded_width();
            (0..self.side).map(move |x| line + x)
        })
    }

    /// Number of [`FoldedStage::taps`].
    pub const fn tap_count(&self) -> usize {
        self.channels.saturating_mul(self.side).saturating_mul(self.side)
    }

    /// How far each position of the kernel is from the first, in the order of a channel's results.
    pub fn shifts(self) -> impl Iterator<Item = usize> {
        let count = |side: usize| (side - self.side) / self.stride + 1;
        let (lines, columns) = (count(self.padded_height()), count(self.padded_width()));
        (0..lines).flat_map(move |y| {
            let line = y * self.stride * self.padded_width();
            (0..columns).map(move |x| line + x * self.stride)
        })
    }

    /// The folded weights, `[output][channel][y][x]`.
    pub fn weights(&self, weights: &[f32]) -> Vec<f32> {
        let area = self.side * self.side;
        let mut folded = vec![0f32; self.outputs * self.channels * area];
        let share = 1.0 / (self.pool * self.pool) as f32;
        let kernels = weights.chunks_exact(self.kernel * self.kernel);
        for (to, from) in folded.chunks_exact_mut(area).zip(kernels) {
            for (place, &weight) in from.iter().enumerate() {
                let (y, x) = (place / self.kernel, place % self.kernel);
                for window in 0..self.pool * self.pool {
                    let (down, right) = (window / self.pool, window % self.pool);
                    to[(y + down * self.step) * self.side + x + right * self.step] +=
                        weight * share;
                }
            }
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filters, LayerSpec, NetworkSpec, Plan, Shape};

    #[test]
    fn a_pool_is_the_mean_of_the_convolutions_it_covers() {
        let spec = NetworkSpec {
            name: "pooled".into(),
            input: Shape::new(2, 6, 7),
            bias_bound: 4.0,
            layers: vec![
                LayerSpec::Conv {
                    out_channels: 1,
                    kernel: 3,
                    stride: 1,
                    padding: 1,
                    filters: Filters::Random,
                },
                LayerSpec::AvgPool { size: 1 },
                LayerSpec::Tanh,
                LayerSpec::Dense { outputs: 2 },
            ],
        };
        let plan = Plan::new(&spec).unwrap();
        let folded =
            FoldedStage { pool: 2, side: 4, stride: 2, ..FoldedStage::new(&plan.stages[0]) };
        let single = FoldedStage::new(&plan.stages[0]);
        let weights: Vec<f32> = (0..18).map(|w| w as f32 - 7.0).collect();
        let padded: Vec<f32> = (0..folded.padded_len()).map(|i| (i * i % 23) as f32).collect();
        let apply = |shape: FoldedStage, shift: usize| -> f32 {
            let weights = shape.weights(&weights);
            shape.taps().zip(&weights).map(|(tap, w)| padded[tap + shift] * w).sum()
        };
        let width = single.padded_width();
        for shift in folded.shifts() {
            let windows = [0, 1, width, width + 1];
            let mean = windows.iter().map(|w| apply(single, shift + w)).sum::<f32>() / 4.0;
            assert!((apply(folded, shift) - mean).abs() < 1e-3, "{shift}");
        }
        assert_eq!(single.shifts().count(), 42);
        assert_eq!(single.positions().nth(1), Some(width + 2));
    }
}
