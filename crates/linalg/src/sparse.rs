//! Linear maps whose weights are mostly zero or ±1, applied to many plain vectors at once:
//! repairing tickets.
//!
//! Vectors lie side by side, scalar by scalar, so that one weight meets a register of vectors, and
//! zero weights cost nothing. Eight neighbouring patches are computed together: they share the walk
//! through the weights.

mod kernel;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::map::{Group, LinearMap, Patch};
use kernel::AddProducts;

/// Vectors that are computed together.
pub const LANES: usize = 32;

/// One scalar of [`LANES`] vectors.
pub type Lanes = [u32; LANES];

/// A map without its zero weights.
#[derive(Debug, Clone)]
pub struct SparseMap {
    inputs: usize,
    outputs: usize,
    groups: Vec<SparseGroup>,
}

/// Patches that gather the same pattern of inputs, each from another place on.
#[derive(Debug, Clone)]
struct SparseGroup {
    /// The non-zero weights of each row of the block.
    rows: Vec<Terms>,
    /// The first output of each row, if its outputs follow each other from patch to patch.
    firsts: Vec<Option<usize>>,
    /// Smallest input of each patch.
    bases: Vec<u32>,
    /// Which of `all` each base belongs to.
    patches: Vec<u32>,
    all: Arc<[Patch]>,
}

/// Non-zero weights of one output, by distance of their input from the patch's base.
#[derive(Debug, Clone, Default)]
struct Terms {
    plus: Vec<u32>,
    minus: Vec<u32>,
    /// Distance and weight.
    others: Vec<(u32, u32)>,
}

impl SparseMap {
    /// Leaves out the zero weights of a map.
    pub fn new(map: &LinearMap) -> Self {
        let groups = map.groups().iter().flat_map(SparseGroup::of).collect();
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

    /// Multiply-adds of one application to a single vector.
    pub fn multiply_adds(&self) -> usize {
        let group = |group: &SparseGroup| {
            group.rows.iter().map(Terms::len).sum::<usize>() * group.bases.len()
        };
        self.groups.iter().map(group).sum()
    }

    /// Adds W r + c to each output vector, modulo 2^32.
    ///
    /// `inputs` holds r of up to [`LANES`] vectors, scalar by scalar; `outputs` the vectors of the
    /// first lanes; c is `added`. `room` is used for sums and left with some of them. Expected cost
    /// with AVX-512: half a cycle per 16 of [`SparseMap::multiply_adds`] and vector for weights ±1,
    /// a whole one for others, and about two cycles per output and vector.
    ///
    /// # Panics
    /// If `inputs` has not [`SparseMap::inputs`] scalars, `added` or an output not
    /// [`SparseMap::outputs`], or there are more outputs than lanes.
    pub fn add_products(
        &self,
        added: &[u32],
        inputs: &[Lanes],
        outputs: &mut [&mut [u32]],
        room: &mut Vec<u32>,
    ) {
        assert_eq!(inputs.len(), self.inputs, "vectors of another map");
        assert_eq!(added.len(), self.outputs, "a constant of another map");
        assert!(outputs.len() <= LANES, "more vectors than lanes");
        assert!(outputs.iter().all(|out| out.len() == self.outputs), "results of another map");
        let groups = &self.groups;
        pulp::Arch::new().dispatch(AddProducts { groups, added, inputs, room, outputs });
    }
}

impl SparseGroup {
    /// The patches of a group by pattern: one for those that networks have.
    fn of(group: &Group) -> Vec<Self> {
        let mut found: Vec<(Vec<u32>, Self)> = Vec::new();
        for (patch, number) in group.patches.iter().zip(0..) {
            let base = patch.gather.iter().min().copied().unwrap_or(0);
            let distances = patch.gather.iter().map(|&input| input - base);
            let known =
                found.iter().position(|(known, _)| distances.clone().eq(known.iter().copied()));
            let place = known.unwrap_or_else(|| {
                let distances: Vec<u32> = distances.collect();
                let rows = (0..group.rows).map(|row| {
                    Terms::new(&group.weights[row * group.taps..][..group.taps], &distances)
                });
                let (rows, all) = (rows.collect(), Arc::clone(&group.patches));
                let sparse =
                    Self { rows, firsts: Vec::new(), bases: Vec::new(), patches: Vec::new(), all };
                found.push((distances, sparse));
                found.len() - 1
            });
            let sparse = &mut found[place].1;
            sparse.bases.push(base);
            sparse.patches.push(number);
        }
        found.into_iter().map(|(_, sparse)| sparse.with_firsts()).collect()
    }

    fn with_firsts(mut self) -> Self {
        let first = |row| {
            let first = self.output(0, row);
            let follow = |patch| self.output(patch, row) == first + patch;
            (0..self.bases.len()).all(follow).then_some(first)
        };
        self.firsts = (0..self.rows.len()).map(first).collect();
        self
    }

    /// The output that a patch's row yields.
    fn output(&self, patch: usize, row: usize) -> usize {
        self.all[self.patches[patch] as usize].scatter[row] as usize
    }
}

impl Terms {
    fn new(weights: &[i32], distances: &[u32]) -> Self {
        let mut terms = Self::default();
        for (&weight, &distance) in weights.iter().zip(distances) {
            match weight {
                0 => {}
                1 => terms.plus.push(distance),
                -1 => terms.minus.push(distance),
                _ => terms.others.push((distance, weight.cast_unsigned())),
            }
        }
        terms
    }

    fn len(&self) -> usize {
        self.plus.len() + self.minus.len() + self.others.len()
    }
}
