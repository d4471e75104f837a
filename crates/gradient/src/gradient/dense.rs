//! The clipped sum of a dense layer's gradients: one matrix product over the slots.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::GROUP;
use crate::tensor::{SLOT_GROUP, Tensor};

/// Outputs and inputs whose products are accumulated in registers together.
const OUTPUTS: usize = 4;
const INPUTS: usize = 4;

/// Most parts that the outputs are divided into for the threads: within a part, inputs are read
/// from memory once.
const TASKS: usize = 8;

/// Sums by output, input and slot modulo [`SLOT_GROUP`].
#[repr(align(64))]
struct Sums<T>([[[T; SLOT_GROUP]; INPUTS]; OUTPUTS]);

/// `Σ over slots of factors[slot] · delta[o][slot] · input[i][slot]` as `[o][i]`, and the same
/// without the input.
///
/// Slots a multiple of [`SLOT_GROUP`] apart are summed in `f32`, up to [`GROUP`] of them and none
/// beyond a multiple of `stride`; the rest is summed in `f64`.
///
/// Cost: outputs × inputs × slots multiply-adds, 8 loads for 16 of them.
pub(super) fn clipped_sum(
    input: &Tensor,
    delta: &Tensor,
    factors: &[f32],
    stride: usize,
) -> (Vec<f64>, Vec<f64>) {
    let mut scaled = delta.clone();
    for row in scaled.rows_mut() {
        row.iter_mut().zip(factors).for_each(|(delta, factor)| *delta *= factor);
    }
    let biases = (0..scaled.rows()).map(|row| scaled.row(row).iter().copied().map(f64::from).sum());
    let biases = biases.collect();
    let mut weights = vec![0.0; delta.rows() * input.rows()];
    let outputs = OUTPUTS * delta.rows().div_ceil(OUTPUTS * TASKS);
    let tasks = weights.par_chunks_mut(outputs * input.rows()).enumerate();
    tasks.for_each(|(task, weights)| {
        let first = task * outputs;
        let rows = RowProducts { input, scaled: &scaled, stride, first, weights };
        pulp::Arch::new().dispatch(rows);
    });
    (weights, biases)
}

/// The weights of some outputs from `first` on.
pub(super) struct RowProducts<'a> {
    pub(super) input: &'a Tensor,
    pub(super) scaled: &'a Tensor,
    /// Slots after which groups start anew.
    pub(super) stride: usize,
    pub(super) first: usize,
    pub(super) weights: &'a mut [f64],
}

impl WithSimd for RowProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (inputs, outputs) = (self.input.rows(), self.scaled.rows());
        for first in (0..inputs).step_by(INPUTS) {
            // The last groups may name a row twice; the surplus is not stored.
            let values: [&[S::f32s]; INPUTS] = std::array::from_fn(|input| {
                S::as_simd_f32s(self.input.row((first + input).min(inputs - 1))).0
            });
            let groups = self.weights.chunks_mut(OUTPUTS * inputs);
            for (weights, group) in groups.zip((self.first..).step_by(OUTPUTS)) {
                let deltas: [&[S::f32s]; OUTPUTS] = std::array::from_fn(|output| {
                    S::as_simd_f32s(self.scaled.row((group + output).min(outputs - 1))).0
                });
                let totals = products(simd, &deltas, &values, self.stride).0;
                for (weights, totals) in weights.chunks_exact_mut(inputs).zip(totals) {
                    let targets = weights[first..].iter_mut().zip(totals);
                    targets.for_each(|(weight, total)| *weight = total.iter().sum());
                }
            }
        }
    }
}

#[inline(always)]
fn products<S: Simd>(
    simd: S,
    deltas: &[&[S::f32s]; OUTPUTS],
    values: &[&[S::f32s]; INPUTS],
    stride: usize,
) -> Sums<f64> {
    let (slots, vectors) = (deltas[0].len() * S::F32_LANES, SLOT_GROUP / S::F32_LANES);
    let mut totals = Sums([[[0.0; SLOT_GROUP]; INPUTS]; OUTPUTS]);
    let mut groups = Sums([[[0.0; SLOT_GROUP]; INPUTS]; OUTPUTS]);
    for part in (0..slots).step_by(stride) {
        for first in (part..part + stride).step_by(GROUP * SLOT_GROUP) {
            let end = (first + GROUP * SLOT_GROUP).min(part + stride);
            for vector in 0..vectors {
                let at = first / S::F32_LANES + vector..end / S::F32_LANES;
                let sums = group_products(simd, deltas, values, at.step_by(vectors));
                for (groups, sums) in groups.0.iter_mut().zip(sums) {
                    for (groups, sum) in groups.iter_mut().zip(sums) {
                        S::as_mut_simd_f32s(groups).0[vector] = sum;
                    }
                }
            }
            let groups = groups.0.as_flattened().as_flattened();
            let totals = totals.0.as_flattened_mut().as_flattened_mut();
            totals.iter_mut().zip(groups).for_each(|(total, group)| *total += f64::from(*group));
        }
    }
    totals
}

/// The sums over some vectors of slots, one after the other.
#[inline(always)]
fn group_products<S: Simd>(
    simd: S,
    deltas: &[&[S::f32s]; OUTPUTS],
    values: &[&[S::f32s]; INPUTS],
    vectors: impl Iterator<Item = usize>,
) -> [[S::f32s; INPUTS]; OUTPUTS] {
    let mut sums = [[simd.splat_f32s(0.0); INPUTS]; OUTPUTS];
    for vector in vectors {
        for output in 0..OUTPUTS {
            let delta = deltas[output][vector];
            for input in 0..INPUTS {
                sums[output][input] =
                    simd.mul_add_e_f32s(delta, values[input][vector], sums[output][input]);
            }
        }
    }
    sums
}
