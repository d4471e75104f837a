//! Linear maps with small integer weights, in the gathered form the kernels run.

use std::sync::Arc;

/// A sparse integer matrix of `outputs × inputs`, cut into groups of dense blocks.
///
/// A dense layer is one group with one patch. A convolution has one patch per output position;
/// patches with the same set of taps (all inner positions, each kind of border) share the weights
/// of one group, so that no multiplication by padding is ever made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearMap {
    inputs: usize,
    outputs: usize,
    groups: Vec<Group>,
}

/// Patches that share one dense weight block of `rows × taps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Number of inputs each patch gathers.
    pub taps: usize,
    /// Number of outputs each patch yields.
    pub rows: usize,
    /// Row-major `[rows][taps]`.
    pub weights: Vec<i32>,
    /// Where the block is applied. Shared, because weights change at every training step and places
    /// never do.
    pub patches: Arc<[Patch]>,
}

/// One place where a group's weight block is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The input row of each tap; length [`Group::taps`].
    pub gather: Vec<u32>,
    /// The output row of each block row; length [`Group::rows`].
    pub scatter: Vec<u32>,
}

/// Why a [`LinearMap`] was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A weight block does not have `rows × taps` entries.
    #[error("group {group} holds {got} weights, expected rows x taps = {expected}")]
    WeightCount {
        /// Index of the group.
        group: usize,
        /// Number of weights found.
        got: usize,
        /// `rows × taps`.
        expected: usize,
    },
    /// A patch gathers or scatters the wrong number of rows.
    #[error("a patch of group {group} names {got} rows, expected {expected}")]
    PatchLength {
        /// Index of the group.
        group: usize,
        /// Number of rows named.
        got: usize,
        /// `taps` or `rows` of the group.
        expected: usize,
    },
    /// A patch names a row that does not exist.
    #[error("a patch of group {group} names row {row}, the map has {rows}")]
    RowOutOfRange {
        /// Index of the group.
        group: usize,
        /// The row named.
        row: u32,
        /// Number of rows there are.
        rows: usize,
    },
    /// An output row is written never or more than once.
    #[error("output row {row} is written {times} times, expected once")]
    OutputCoverage {
        /// The output row.
        row: usize,
        /// How often the patches write it.
        times: usize,
    },
}

impl LinearMap {
    /// Builds a map of `outputs × inputs` and checks that every patch stays inside it and that
    /// every output row is written exactly once.
    ///
    /// # Errors
    /// A [`MapError`] that names the group and the row.
    pub fn new(inputs: usize, outputs: usize, groups: Vec<Group>) -> Result<Self, MapError> {
        let mut written = vec![0usize; outputs];
        for (index, group) in groups.iter().enumerate() {
            check_group(index, group, inputs, outputs)?;
            for &row in group.patches.iter().flat_map(|patch| &patch.scatter) {
                written[row as usize] += 1;
            }
        }
        if let Some((row, &times)) = written.iter().enumerate().find(|&(_, &times)| times != 1) {
            return Err(MapError::OutputCoverage { row, times });
        }
        Ok(Self { inputs, outputs, groups })
    }

    /// Number of input rows.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of output rows.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The dense blocks.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Multiply-adds of one application to a single column.
    pub fn multiply_adds(&self) -> usize {
        self.groups.iter().map(|group| group.weights.len() * group.patches.len()).sum()
    }
}

fn check_group(index: usize, group: &Group, inputs: usize, outputs: usize) -> Result<(), MapError> {
    let expected = group.rows * group.taps;
    if group.weights.len() != expected {
        return Err(MapError::WeightCount { group: index, got: group.weights.len(), expected });
    }
    for patch in group.patches.iter() {
        for (named, expected, rows) in
            [(&patch.gather, group.taps, inputs), (&patch.scatter, group.rows, outputs)]
        {
            if named.len() != expected {
                return Err(MapError::PatchLength { group: index, got: named.len(), expected });
            }
            if let Some(&row) = named.iter().find(|&&row| row as usize >= rows) {
                return Err(MapError::RowOutOfRange { group: index, row, rows });
            }
        }
    }
    Ok(())
}
