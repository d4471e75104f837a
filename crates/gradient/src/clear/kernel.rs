//! Applies a [`TapMap`] to all slots of a tensor.

use aligned_vec::{AVec, ConstAlign, avec};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::taps::TapMap;
use crate::tensor::Tensor;

/// Slots per task.
const TASK: usize = 128;

/// Output channels accumulated in registers together.
const CHANNELS: usize = 4;

/// `biases[channel] + Σ over the taps of weights[tap][channel] · input` for every position and
/// slot.
///
/// Output rows are channel-major. Cost: one multiply-add per tap, channel and slot, 8 loads for 16
/// vectors of them.
pub(super) fn apply(map: &TapMap, weights: &[f32], biases: &[f32], input: &Tensor) -> Tensor {
    let mut output = input.zeros_beside(map.positions() * map.channels());
    let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
    tasks.resize_with(input.slots().div_ceil(TASK), || Vec::with_capacity(map.positions()));
    for row in output.rows_mut() {
        row.chunks_mut(TASK).zip(&mut tasks).for_each(|(slots, task)| task.push(slots));
    }
    tasks.into_par_iter().enumerate().for_each(|(task, rows)| {
        let first_slot = task * TASK;
        Arch::new().dispatch(Columns { map, weights, biases, input, first_slot, rows });
    });
    output
}

/// Some neighbouring slots of every output row.
struct Columns<'a> {
    map: &'a TapMap,
    weights: &'a [f32],
    biases: &'a [f32],
    input: &'a Tensor,
    first_slot: usize,
    rows: Vec<&'a mut [f32]>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Vectors of slots worked on together: 16 accumulators fit 32 registers, 8 fit 16.
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4>(simd);
        } else {
            self.run::<S, 2>(simd);
        }
    }
}

impl Columns<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize>(&mut self, simd: S) {
        let width = self.rows.first().map_or(0, |row| row.len()) / S::F32_LANES;
        let mut packed: AVec<f32, ConstAlign<64>> =
            avec![[64]| 0.0f32; self.map.inputs() * VECTORS * S::F32_LANES];
        let whole = width / VECTORS * VECTORS;
        for first in (0..whole).step_by(VECTORS) {
            self.multiply::<S, VECTORS>(simd, first, &mut packed);
        }
        for first in whole..width {
            self.multiply::<S, 1>(simd, first, &mut packed);
        }
    }

    /// All outputs of the `VECTORS` vectors of slots from vector `first` on.
    #[inline(always)]
    fn multiply<S: Simd, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
        packed: &mut [f32],
    ) {
        let (map, channels) = (self.map, self.map.channels());
        let packed = S::as_mut_simd_f32s(packed).0;
        for (row, packed) in packed.chunks_exact_mut(VECTORS).take(map.inputs()).enumerate() {
            let slots = S::as_simd_f32s(&self.input.row(row)[self.first_slot..]).0;
            packed.copy_from_slice(&slots[first..first + VECTORS]);
        }
        for position in 0..map.positions() {
            for group in (0..channels).step_by(CHANNELS) {
                match channels - group {
                    1 => self.gather::<S, 1, VECTORS>(simd, first, packed, position, group),
                    2 => self.gather::<S, 2, VECTORS>(simd, first, packed, position, group),
                    3 => self.gather::<S, 3, VECTORS>(simd, first, packed, position, group),
                    _ => self.gather::<S, CHANNELS, VECTORS>(simd, first, packed, position, group),
                }
            }
        }
    }

    /// Channels `group .. group + COUNT` of one output position.
    #[inline(always)]
    fn gather<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
        packed: &[S::f32s],
        position: usize,
        group: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        for tap in self.map.taps(position) {
            let values = &packed[tap.input as usize * VECTORS..][..VECTORS];
            let weights = tap.weights as usize * self.map.channels() + group;
            let weights = &self.weights[weights..][..COUNT];
            for channel in 0..COUNT {
                let weight = simd.splat_f32s(weights[channel]);
                for vector in 0..VECTORS {
                    sums[channel][vector] =
                        simd.mul_add_e_f32s(weight, values[vector], sums[channel][vector]);
                }
            }
        }
        for (channel, sums) in (group..).zip(sums) {
            let bias = simd.splat_f32s(self.biases[channel]);
            let row = &mut self.rows[channel * self.map.positions() + position];
            let targets = &mut S::as_mut_simd_f32s(row).0[first..];
            for (target, sum) in targets.iter_mut().zip(sums) {
                *target = simd.add_f32s(sum, bias);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Scalar, Scalar256b, Scalar512b, Simd};
    use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};

    use super::{Columns, TapMap, apply};
    use crate::tensor::Tensor;

    /// Machines without wide vectors run the same code with fewer lanes and registers.
    #[test]
    fn every_vector_width_gives_the_same_output() {
        let conv = LayerSpec::Conv {
            out_channels: 7,
            kernel: 3,
            stride: 2,
            padding: 1,
            filters: sphinx_network::Filters::Random,
        };
        let layers = vec![conv, LayerSpec::Tanh, LayerSpec::Dense { outputs: 2 }];
        let name = "small".to_owned();
        let input = Shape::new(2, 6, 6);
        let plan = Plan::new(&NetworkSpec { name, input, layers, bias_bound: 4.0 }).unwrap();
        let map = TapMap::forward(&plan.stages[0]);
        let ramp = |length: usize| -> Vec<f32> {
            (0..length).map(|i| (i * 37 % 113) as f32 / 113.0 - 0.5).collect()
        };
        let (weights, biases) = (ramp(7 * 18), ramp(7));
        let input = Tensor::new(72, 80, ramp(72 * 80)).unwrap();
        let expected = apply(&map, &weights, &biases, &input);
        let run = |dispatch: &dyn Fn(Columns<'_>)| {
            let mut output = expected.zeros_beside(expected.rows());
            let rows = output.rows_mut().collect();
            let (map, weights, biases, input) = (&map, &weights[..], &biases[..], &input);
            dispatch(Columns { map, weights, biases, input, first_slot: 0, rows });
            for (value, expected) in output.as_slice().iter().zip(expected.as_slice()) {
                assert!((value - expected).abs() < 1e-5);
            }
        };
        run(&|columns| Scalar.vectorize(columns));
        run(&|columns| Scalar256b.vectorize(columns));
        run(&|columns| Scalar512b.vectorize(columns));
    }
}
