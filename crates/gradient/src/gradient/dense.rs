//! The clipped sum of a dense layer's gradients: one matrix product over the slots.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::tensor::Tensor;

/// Outputs and inputs whose products are accumulated in registers together.
const OUTPUTS: usize = 4;
const INPUTS: usize = 4;

/// `Σ over slots of factors[slot] · delta[o][slot] · input[i][slot]` as `[o][i]`, and the same
/// without the input.
///
/// Cost: outputs × inputs × slots multiply-adds, 8 loads for 16 of them.
pub(super) fn clipped_sum(input: &Tensor, delta: &Tensor, factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut scaled = delta.clone();
    for row in scaled.rows_mut() {
        row.iter_mut().zip(factors).for_each(|(delta, factor)| *delta *= factor);
    }
    let biases = (0..scaled.rows())
        .map(|row| scaled.row(row).iter().copied().map(f64::from).sum::<f64>() as f32)
        .collect();
    let mut weights = vec![0.0f32; delta.rows() * input.rows()];
    let groups = weights.par_chunks_mut(OUTPUTS * input.rows()).enumerate();
    groups.for_each(|(group, weights)| {
        pulp::Arch::new().dispatch(RowProducts {
            input,
            scaled: &scaled,
            first: group * OUTPUTS,
            weights,
        });
    });
    (weights, biases)
}

/// The weights of up to [`OUTPUTS`] outputs from `first` on.
struct RowProducts<'a> {
    input: &'a Tensor,
    scaled: &'a Tensor,
    first: usize,
    weights: &'a mut [f32],
}

impl WithSimd for RowProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (inputs, outputs) = (self.input.rows(), self.scaled.rows());
        // The last groups may name a row twice; the surplus is not stored.
        let deltas: [&[S::f32s]; OUTPUTS] = std::array::from_fn(|output| {
            S::as_simd_f32s(self.scaled.row((self.first + output).min(outputs - 1))).0
        });
        for first in (0..inputs).step_by(INPUTS) {
            let values: [&[S::f32s]; INPUTS] = std::array::from_fn(|input| {
                S::as_simd_f32s(self.input.row((first + input).min(inputs - 1))).0
            });
            let sums = products(simd, &deltas, &values);
            for (weights, sums) in self.weights.chunks_exact_mut(inputs).zip(sums) {
                let targets = weights[first..].iter_mut().zip(sums);
                targets.for_each(|(weight, sum)| *weight = simd.reduce_sum_f32s(sum));
            }
        }
    }
}

#[inline(always)]
fn products<S: Simd>(
    simd: S,
    deltas: &[&[S::f32s]; OUTPUTS],
    values: &[&[S::f32s]; INPUTS],
) -> [[S::f32s; INPUTS]; OUTPUTS] {
    let mut sums = [[simd.splat_f32s(0.0); INPUTS]; OUTPUTS];
    for vector in 0..deltas[0].len() {
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
