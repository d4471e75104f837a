//! Linear maps on plain integers modulo 2^32, for the online rounds of recognition.

use std::sync::Arc;

use pulp::{Simd, WithSimd};

use crate::map::{Group, LinearMap, Patch};

/// Outputs computed together, side by side in registers: one of AVX-512, two of AVX2.
const PANEL: usize = 16;

/// Patches computed together: each weight register is loaded once for eight of them.
const PATCHES: usize = 8;

/// A map with its weights in the order in which single vectors are multiplied.
#[derive(Debug, Clone)]
pub struct PlainMap {
    inputs: usize,
    outputs: usize,
    groups: Vec<PlainGroup>,
}

#[derive(Debug, Clone)]
struct PlainGroup {
    rows: usize,
    taps: usize,
    /// Per panel of sixteen outputs: `[tap][PANEL]`, padded with zero weights.
    panels: Vec<Vec<[u32; PANEL]>>,
    patches: Arc<[Patch]>,
}

impl PlainMap {
    /// Orders the weights of a map.
    pub fn new(map: &LinearMap) -> Self {
        let groups = map.groups().iter().map(PlainGroup::new).collect();
        Self { inputs: map.inputs(), outputs: map.outputs(), groups }
    }

    /// Length of a vector the map takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of a vector the map yields.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Bytes of memory the weights take; places are shared with the map.
    pub fn weight_bytes(&self) -> usize {
        let words = |group: &PlainGroup| group.panels.len() * group.taps * PANEL;
        self.groups.iter().map(words).sum::<usize>() * size_of::<u32>()
    }

    /// Applies the map to one vector of integers modulo 2^32.
    ///
    /// Expected cost with AVX-512: one cycle per 16 of [`LinearMap::multiply_adds`], where outputs
    /// fill panels.
    ///
    /// # Panics
    /// If `values` has not [`PlainMap::inputs`] entries or `results` not [`PlainMap::outputs`].
    pub fn apply(&self, values: &[u32], results: &mut [u32]) {
        assert_eq!(values.len(), self.inputs, "a vector of another map");
        assert_eq!(results.len(), self.outputs, "results of another map");
        pulp::Arch::new().dispatch(Apply { map: self, values, results });
    }
}

impl PlainGroup {
    fn new(group: &Group) -> Self {
        let panel = |first: usize| {
            let mut panel = vec![[0; PANEL]; group.taps];
            for lane in 0..PANEL.min(group.rows - first) {
                let weights = &group.weights[(first + lane) * group.taps..][..group.taps];
                for (slot, weight) in panel.iter_mut().zip(weights) {
                    slot[lane] = weight.cast_unsigned();
                }
            }
            panel
        };
        Self {
            rows: group.rows,
            taps: group.taps,
            panels: (0..group.rows).step_by(PANEL).map(panel).collect(),
            patches: Arc::clone(&group.patches),
        }
    }
}

struct Apply<'a> {
    map: &'a PlainMap,
    values: &'a [u32],
    results: &'a mut [u32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for group in &self.map.groups {
            let (blocks, rest) = group.patches.as_chunks::<PATCHES>();
            for (index, panel) in group.panels.iter().enumerate() {
                let lanes = index * PANEL..group.rows.min((index + 1) * PANEL);
                for block in blocks {
                    let sums = products(simd, panel, block, self.values);
                    for (patch, sums) in block.iter().zip(&sums) {
                        scatter(&patch.scatter[lanes.clone()], sums, self.results);
                    }
                }
                for patch in rest {
                    let [sums] = products(simd, panel, std::array::from_ref(patch), self.values);
                    scatter(&patch.scatter[lanes.clone()], &sums, self.results);
                }
            }
        }
    }
}

#[inline(always)]
fn scatter(rows: &[u32], sums: &[u32; PANEL], results: &mut [u32]) {
    for (&row, &sum) in rows.iter().zip(sums) {
        results[row as usize] = sum;
    }
}

/// The sixteen outputs of a panel for each of P patches.
#[inline(always)]
fn products<S: Simd, const P: usize>(
    simd: S,
    panel: &[[u32; PANEL]],
    patches: &[Patch; P],
    values: &[u32],
) -> [[u32; PANEL]; P] {
    let lanes = size_of::<S::u32s>() / size_of::<u32>();
    let gathers: [&[u32]; P] = std::array::from_fn(|patch| &patches[patch].gather[..panel.len()]);
    let mut out = [[0; PANEL]; P];
    for first in (0..PANEL).step_by(lanes) {
        let mut sums = [simd.splat_u32s(0); P];
        for (tap, weights) in panel.iter().enumerate() {
            let weights = S::as_simd_u32s(&weights[first..first + lanes]).0[0];
            for (sum, gather) in sums.iter_mut().zip(&gathers) {
                let value = simd.splat_u32s(values[gather[tap] as usize]);
                *sum = simd.add_u32s(*sum, simd.mul_u32s(weights, value));
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            S::as_mut_simd_u32s(&mut out[first..first + lanes]).0[0] = sum;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        // Rows below, at and above a panel; patches below and above a block of eight.
        for (rows, patches, taps) in [(5, 3, 21), (16, 11, 25), (37, 1, 40), (20, 8, 1)] {
            let (inputs, outputs) = (50, rows * patches);
            let places = (0..patches)
                .map(|p| Patch {
                    gather: (0..taps).map(|k| ((p + 2 * k) % inputs) as u32).collect(),
                    scatter: (0..rows).map(|o| (o * patches + p) as u32).collect(),
                })
                .collect();
            let weights: Vec<i32> =
                (0..(rows * taps) as i32).map(|k| k * 7919 % 255 - 127).collect();
            let group = Group { taps, rows, weights: weights.clone(), patches: places };
            let map = LinearMap::new(inputs, outputs, vec![group.clone()]).unwrap();
            let values: Vec<u32> =
                (0..inputs as u32).map(|i| (i + 1).wrapping_mul(2_654_435_761)).collect();
            let mut results = vec![0; outputs];
            PlainMap::new(&map).apply(&values, &mut results);
            for patch in group.patches.iter() {
                for (lane, &row) in patch.scatter.iter().enumerate() {
                    let expected = (0..taps).fold(0u32, |sum, k| {
                        let weight = weights[lane * taps + k].cast_unsigned();
                        sum.wrapping_add(weight.wrapping_mul(values[patch.gather[k] as usize]))
                    });
                    assert_eq!(results[row as usize], expected, "{rows} rows, output {row}");
                }
            }
        }
    }
}
