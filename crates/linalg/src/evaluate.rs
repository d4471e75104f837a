//! Evaluation of a [`LinearMap`] on a [`CipherMatrix`], cut into units of bounded size.

use std::ops::Range;

use crate::kernel::{PANEL, PanelProduct};
use crate::map::LinearMap;
use crate::matrix::{CipherMatrix, TILE};
use crate::word::Word;

/// Bytes of a unit's results. Larger units read the inputs fewer times, smaller ones stay in the
/// cache and make smaller messages: 128 rows modulo 2^32 or 64 rows modulo 2^64 are 1.3 MB on the
/// wire.
const UNIT_BYTES: usize = 2 << 20;

/// A map with its weights as residues, in the order the kernel reads them.
#[derive(Debug, Clone)]
pub struct PackedMap<W> {
    map: LinearMap,
    /// Per group and panel of eight outputs: `[tap][PANEL]`, padded with zero weights.
    panels: Vec<Vec<Vec<[W; PANEL]>>>,
}

/// Output rows that are computed together: some panels of some patches of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    group: usize,
    patches: Range<usize>,
    panels: Range<usize>,
}

/// Finished output rows: their numbers and their words, row-major.
#[derive(Clone)]
pub struct OutputRows<W> {
    /// Number of each output row.
    pub rows: Vec<u32>,
    /// Words of the rows, mask then bodies.
    pub words: Vec<W>,
    /// Words of a row.
    pub columns: usize,
}

impl<W> std::fmt::Debug for OutputRows<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputRows").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// The matrix has another number of rows than the map has inputs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext matrix has {got} rows, the linear map takes {expected}")]
pub struct RowCountError {
    /// Rows of the matrix.
    pub got: usize,
    /// Inputs of the map.
    pub expected: usize,
}

impl<W: Word> PackedMap<W> {
    /// Orders the weights of a map for the kernel.
    pub fn new(map: LinearMap) -> Self {
        let pack_panel = |weights: &[i32], taps: usize, rows: Range<usize>| {
            let mut panel = vec![[W::default(); PANEL]; taps];
            for (lane, row) in rows.enumerate() {
                let row = &weights[row * taps..][..taps];
                for (slot, &weight) in panel.iter_mut().zip(row) {
                    slot[lane] = W::from_weight(weight);
                }
            }
            panel
        };
        let panels = map
            .groups()
            .iter()
            .map(|group| {
                (0..group.rows)
                    .step_by(PANEL)
                    .map(|row| {
                        let rows = row..group.rows.min(row + PANEL);
                        pack_panel(&group.weights, group.taps, rows)
                    })
                    .collect()
            })
            .collect();
        Self { map, panels }
    }

    /// The map itself.
    pub fn map(&self) -> &LinearMap {
        &self.map
    }

    /// The units that together yield every output row once, for inputs of so many columns.
    pub fn units(&self, columns: usize) -> Vec<Unit> {
        let unit_rows = (UNIT_BYTES / (columns.max(1) * size_of::<W>())).max(PANEL);
        let mut units = Vec::new();
        for (index, group) in self.map.groups().iter().enumerate() {
            let panels = self.panels[index].len();
            let panels_per_unit = panels.clamp(1, unit_rows / PANEL);
            let patches_per_unit = (unit_rows / (panels_per_unit * PANEL)).max(1);
            for first in (0..group.patches.len()).step_by(patches_per_unit) {
                let patches = first..group.patches.len().min(first + patches_per_unit);
                for panel in (0..panels).step_by(panels_per_unit) {
                    let panels = panel..panels.min(panel + panels_per_unit);
                    units.push(Unit { group: index, patches: patches.clone(), panels });
                }
            }
        }
        units
    }

    /// Computes the rows of one unit: `taps` multiply-adds per word of output.
    ///
    /// # Errors
    /// [`RowCountError`] if the matrix does not have as many rows as the map has inputs.
    pub fn evaluate(
        &self,
        unit: &Unit,
        inputs: &CipherMatrix<W>,
    ) -> Result<OutputRows<W>, RowCountError> {
        if inputs.rows() != self.map.inputs() {
            return Err(RowCountError { got: inputs.rows(), expected: self.map.inputs() });
        }
        let group = &self.map.groups()[unit.group];
        let patches = &group.patches[unit.patches.clone()];
        let lanes = |panel: usize| panel * PANEL..group.rows.min((panel + 1) * PANEL);
        let rows: Vec<u32> = patches
            .iter()
            .flat_map(|patch| {
                unit.panels.clone().flat_map(|panel| patch.scatter[lanes(panel)].to_vec())
            })
            .collect();
        let columns = inputs.columns();
        let mut words = vec![W::default(); rows.len() * columns];
        let arch = pulp::Arch::new();
        let mut sums = [[W::default(); TILE]; PANEL];
        for tile in 0..inputs.tiles() {
            let tile_words = inputs.tile(tile);
            let mut row = 0;
            for patch in patches {
                for panel in unit.panels.clone() {
                    arch.dispatch(PanelProduct {
                        tile: tile_words,
                        gather: &patch.gather,
                        weights: &self.panels[unit.group][panel],
                        out: &mut sums,
                    });
                    for sum in &sums[..lanes(panel).len()] {
                        words[row * columns + tile * TILE..][..TILE].copy_from_slice(sum);
                        row += 1;
                    }
                }
            }
        }
        Ok(OutputRows { rows, words, columns })
    }
}
