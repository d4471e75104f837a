//! Per-example gradients of a convolution, one example per vector lane.

use aligned_vec::{AVec, ConstAlign, avec};
use pulp::Simd;
use sphinx_network::{Linear, Stage};

use crate::pooling::Pooling;
use crate::tensor::{SLOT_GROUP, Tensor};

/// Taps whose gradients are accumulated in registers together.
const TAPS: usize = 5;

/// Memory that vectors are loaded from without crossing a cache line.
type Scratch = AVec<f32, ConstAlign<64>>;

/// Where a convolution finds its inputs, computed once per block.
pub(super) struct ConvGeometry {
    out_channels: usize,
    stride: usize,
    lines: usize,
    columns: usize,
    padded_width: usize,
    padded_len: usize,
    /// Scalar in the padded map of each tap `[in_channel][ky][kx]`, for the first position.
    taps: Vec<usize>,
    /// Scalar in the padded map of each input row.
    padded_rows: Vec<usize>,
    /// Row of the stage's output that each output of the convolution contributes to.
    delta_rows: Vec<usize>,
    /// By how much: 1, or 1/p² if an average over p × p is folded into the stage.
    delta_share: f32,
}

/// Scratch memory of one thread, `[scalar][lane]`, with room for the lanes of any machine. All
/// calls between two [`Self::take`] must be for vectors of the same width.
pub(super) struct ConvTile<'a> {
    geometry: &'a ConvGeometry,
    /// The input with its padding, whose zeros are never written.
    input: Scratch,
    /// The gradient at the convolution's output.
    delta: Scratch,
    /// Gradients of the weights, then of the biases.
    gradient: Scratch,
    /// Sum of the clipped gradients since the last [`Self::flush`].
    sum: Scratch,
    /// What was flushed.
    total: Vec<f64>,
}

/// A clipped sum over some of a block's examples: weights, then biases.
pub(super) struct ConvSum {
    out_channels: usize,
    values: Vec<f64>,
}

impl ConvGeometry {
    /// `None` for a dense stage.
    pub(super) fn new(stage: &Stage) -> Option<Self> {
        let Linear::Conv { in_channels, out_channels, kernel, stride, padding } = stage.linear
        else {
            return None;
        };
        let (height, width) = (stage.input.height, stage.input.width);
        let (padded_height, padded_width) = (height + 2 * padding, width + 2 * padding);
        let scalar =
            |channel: usize, y: usize, x: usize| (channel * padded_height + y) * padded_width + x;
        let taps = (0..in_channels * kernel * kernel)
            .map(|tap| scalar(tap / (kernel * kernel), tap / kernel % kernel, tap % kernel));
        let padded_rows = (0..stage.input.len()).map(|row| {
            scalar(row / (height * width), row / width % height + padding, row % width + padding)
        });
        let pooling = stage.pool.map(|size| Pooling {
            size,
            stride: size,
            input: stage.linear_output,
            output: stage.output,
        });
        let delta_rows = (0..stage.linear_output.len())
            .map(|row| pooling.map_or(row, |pooling| pooling.membership(row).window));
        Some(Self {
            out_channels,
            stride,
            lines: stage.linear_output.height,
            columns: stage.linear_output.width,
            padded_width,
            padded_len: in_channels * padded_height * padded_width,
            taps: taps.collect(),
            padded_rows: padded_rows.collect(),
            delta_rows: delta_rows.collect(),
            delta_share: pooling.map_or(1.0, |pooling| pooling.share()),
        })
    }

    fn positions(&self) -> usize {
        self.lines * self.columns
    }

    fn parameters(&self) -> usize {
        (self.taps.len() + 1) * self.out_channels
    }
}

impl<'a> ConvTile<'a> {
    pub(super) fn new(geometry: &'a ConvGeometry) -> Self {
        let scratch = |scalars: usize| avec![[64]| 0.0f32; scalars * SLOT_GROUP];
        Self {
            geometry,
            input: scratch(geometry.padded_len),
            delta: scratch(geometry.delta_rows.len()),
            gradient: scratch(geometry.parameters()),
            sum: scratch(geometry.parameters()),
            total: vec![0.0; geometry.parameters()],
        }
    }

    /// Copies the examples from `slot` on into scratch memory: rows of a tensor lie a power of two
    /// apart, so that all of them would compete for the same few cache sets.
    #[inline(always)]
    pub(super) fn load<S: Simd>(&mut self, simd: S, input: &Tensor, delta: &Tensor, slot: usize) {
        let padded = S::as_mut_simd_f32s(&mut self.input).0;
        for (row, &scalar) in self.geometry.padded_rows.iter().enumerate() {
            padded[scalar] = S::as_simd_f32s(&input.row(row)[slot..]).0[0];
        }
        let share = simd.splat_f32s(self.geometry.delta_share);
        let unpooled = S::as_mut_simd_f32s(&mut self.delta).0;
        for (target, &row) in unpooled.iter_mut().zip(&self.geometry.delta_rows) {
            *target = simd.mul_f32s(share, S::as_simd_f32s(&delta.row(row)[slot..]).0[0]);
        }
    }

    /// Forms the gradients of the loaded examples; `add` adds them to those formed before, of other
    /// copies.
    ///
    /// Cost: taps × positions × output channels multiply-adds, 9 loads for 20 of them.
    #[inline(always)]
    pub(super) fn differentiate<S: Simd>(&mut self, simd: S, add: bool) {
        // 20 accumulators fit 32 vector registers, 10 fit 16.
        if S::REGISTER_COUNT >= 32 {
            self.differentiate_by::<S, 4>(simd, add);
        } else {
            self.differentiate_by::<S, 2>(simd, add);
        }
    }

    /// Weights, then biases.
    #[inline(always)]
    pub(super) fn gradient<S: Simd>(&self) -> &[S::f32s] {
        &S::as_simd_f32s(&self.gradient).0[..self.geometry.parameters()]
    }

    /// Adds the gradients, each lane times its factor, to the sum.
    #[inline(always)]
    pub(super) fn accumulate<S: Simd>(&mut self, simd: S, factors: S::f32s) {
        let gradients = &S::as_simd_f32s(&self.gradient).0[..self.geometry.parameters()];
        for (sum, &gradient) in S::as_mut_simd_f32s(&mut self.sum).0.iter_mut().zip(gradients) {
            *sum = simd.mul_add_e_f32s(gradient, factors, *sum);
        }
    }

    /// Ends the groups that were summed up, one per lane: adds them to the total.
    #[inline(always)]
    pub(super) fn flush<S: Simd>(&mut self) {
        let groups = self.sum.chunks_exact_mut(S::F32_LANES);
        for (total, groups) in self.total.iter_mut().zip(groups) {
            let mut lanes = [0.0f64; SLOT_GROUP];
            lanes.iter_mut().zip(&*groups).for_each(|(lane, &group)| *lane = f64::from(group));
            let mut width = S::F32_LANES;
            while width > 1 {
                width /= 2;
                (0..width).for_each(|lane| lanes[lane] += lanes[lane + width]);
            }
            *total += lanes[0];
            groups.fill(0.0);
        }
    }

    /// The sum of what was flushed; begins another.
    pub(super) fn take(&mut self) -> ConvSum {
        let zeros = vec![0.0; self.total.len()];
        let values = std::mem::replace(&mut self.total, zeros);
        ConvSum { out_channels: self.geometry.out_channels, values }
    }

    /// [`Self::differentiate`] by groups of `CHANNELS` output channels.
    #[inline(always)]
    fn differentiate_by<S: Simd, const CHANNELS: usize>(&mut self, simd: S, add: bool) {
        let geometry = self.geometry;
        let (positions, taps) = (geometry.positions(), geometry.taps.len());
        let input = S::as_simd_f32s(&self.input).0;
        let delta = &S::as_simd_f32s(&self.delta).0[..geometry.delta_rows.len()];
        let gradient = &mut S::as_mut_simd_f32s(&mut self.gradient).0[..geometry.parameters()];
        let (weights, biases) = gradient.split_at_mut(taps * geometry.out_channels);

        for (bias, plane) in biases.iter_mut().zip(delta.chunks_exact(positions)) {
            let start = if add { *bias } else { simd.splat_f32s(0.0) };
            *bias = plane.iter().fold(start, |sum, &d| simd.add_f32s(sum, d));
        }
        let groups = weights.chunks_mut(taps * CHANNELS).zip(delta.chunks(positions * CHANNELS));
        for (weights, delta) in groups {
            for first in (0..taps).step_by(TAPS) {
                // The last group may name a channel or a tap twice; the surplus is not stored.
                let planes: [&[S::f32s]; CHANNELS] = std::array::from_fn(|channel| {
                    let channel = channel.min(delta.len() / positions - 1);
                    &delta[channel * positions..][..positions]
                });
                let offsets: [usize; TAPS] =
                    std::array::from_fn(|tap| geometry.taps[(first + tap).min(taps - 1)]);
                let sums = correlate(simd, geometry, &planes, input, &offsets);
                for (weights, sums) in weights.chunks_exact_mut(taps).zip(sums) {
                    for (weight, sum) in weights[first..].iter_mut().zip(sums) {
                        *weight = if add { simd.add_f32s(*weight, sum) } else { sum };
                    }
                }
            }
        }
    }
}

/// `Σ over positions of planes[channel][position] · input[offsets[tap] + position in the map]`.
#[inline(always)]
fn correlate<S: Simd, const CHANNELS: usize>(
    simd: S,
    geometry: &ConvGeometry,
    planes: &[&[S::f32s]; CHANNELS],
    input: &[S::f32s],
    offsets: &[usize; TAPS],
) -> [[S::f32s; TAPS]; CHANNELS] {
    let mut sums = [[simd.splat_f32s(0.0); TAPS]; CHANNELS];
    for line in 0..geometry.lines {
        let map_line = &input[line * geometry.stride * geometry.padded_width..];
        for column in 0..geometry.columns {
            let position = line * geometry.columns + column;
            let map = &map_line[column * geometry.stride..];
            let mut values = [simd.splat_f32s(0.0); TAPS];
            for tap in 0..TAPS {
                values[tap] = map[offsets[tap]];
            }
            for channel in 0..CHANNELS {
                let delta = planes[channel][position];
                for tap in 0..TAPS {
                    sums[channel][tap] =
                        simd.mul_add_e_f32s(delta, values[tap], sums[channel][tap]);
                }
            }
        }
    }
    sums
}

impl ConvSum {
    /// The sum of disjoint parts of a block, as weights and biases.
    pub(super) fn total<'a>(parts: impl Iterator<Item = &'a Self>) -> (Vec<f64>, Vec<f64>) {
        let (mut weights, mut channels) = (Vec::new(), 0);
        for part in parts {
            channels = part.out_channels;
            weights.resize(part.values.len(), 0.0);
            weights.iter_mut().zip(&part.values).for_each(|(total, value)| *total += value);
        }
        let biases = weights.split_off(weights.len() - channels);
        (weights, biases)
    }
}
