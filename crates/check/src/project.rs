//! What a combination of outputs is as a combination of inputs.

use sphinx_linalg::LinearMap;

use crate::field::{add, residue};

/// w̃ = τᵀ W modulo p: for every input the sum over outputs o of τ(o) · W(o, input).
///
/// Expected cost: one multiply-add per multiply-add of the map on one column, about 1 ns each.
///
/// # Panics
/// If there is not one τ per output.
pub fn project(map: &LinearMap, tau: &[u64]) -> Vec<u64> {
    assert_eq!(tau.len(), map.outputs(), "one random residue per output");
    let mut inputs = vec![0; map.inputs()];
    let mut sums: Vec<i128> = Vec::new();
    for group in map.groups() {
        for patch in group.patches.iter() {
            sums.clear();
            sums.resize(group.taps, 0);
            for (row, &output) in patch.scatter.iter().enumerate() {
                // Below 2^61 · 2^31 each, and there are fewer than 2^20 rows.
                let tau = i128::from(tau[output as usize]);
                let weights = &group.weights[row * group.taps..][..group.taps];
                let terms = sums.iter_mut().zip(weights);
                terms.for_each(|(sum, &weight)| *sum += tau * i128::from(weight));
            }
            for (&sum, &input) in sums.iter().zip(&patch.gather) {
                let input = &mut inputs[input as usize];
                *input = add(*input, residue(sum));
            }
        }
    }
    inputs
}
