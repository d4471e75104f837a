//! Which input rows each output row gathers, apart from the weights.

use std::sync::Arc;

use sphinx_linalg::{Group, LinearMap, MapError, Patch};
use sphinx_network::{Direction, Shape, Stage};

use crate::lower::kernel::KernelShape;

/// The gather and scatter indices of a stage's map in one direction, without weights.
///
/// Result rows with the same set of kernel taps (inner positions, each kind of border, each phase
/// of a stride in the backward direction) share one group. Padding is never gathered. Stores 4
/// bytes per gathered tap and result position.
#[derive(Debug, Clone)]
pub struct Geometry {
    pub(crate) stage: usize,
    pub(crate) direction: Direction,
    pub(crate) kernel: KernelShape,
    pub(crate) groups: Vec<GroupGeometry>,
    /// Weight of each channel's own input, if there are such.
    pub(crate) bias_weight: Option<f64>,
    inputs: usize,
    outputs: usize,
}

/// The places of one group and the taps it keeps of the whole kernel.
#[derive(Debug, Clone)]
pub(crate) struct GroupGeometry {
    /// Columns of the `[result channel][tap]` weight matrix, in gather order.
    pub columns: Vec<u32>,
    /// Whether no other group has all these columns and more: then its sums bound those of the
    /// others.
    pub maximal: bool,
    patches: Arc<[Patch]>,
}

impl Geometry {
    /// The geometry of `stage`, which is number `index` of its plan.
    pub fn new(index: usize, stage: &Stage, direction: Direction) -> Self {
        let kernel = KernelShape::new(stage);
        let (input, output) = kernel.maps(stage);
        let (from, to) = match direction {
            Direction::Forward => (input, output),
            Direction::Backward => (output, input),
        };
        let side = kernel.folded_side();
        let lines = Axis::new(&kernel, direction, input.height, output.height);
        let columns = Axis::new(&kernel, direction, input.width, output.width);
        let mut groups = Vec::with_capacity(lines.variants.len() * columns.variants.len());
        for line in &lines.variants {
            for column in &columns.variants {
                groups.push(group(from, to, side, line, column));
            }
        }
        let (inputs, outputs) = (from.len(), to.len());
        Self { stage: index, direction, kernel, groups, bias_weight: None, inputs, outputs }
    }

    /// The same map with one more input per channel of the result, after all others, which is added
    /// to that channel's results alone, times `weight`: biases that come as ciphertexts.
    ///
    /// Expected cost: as many more multiply-adds per result as there are channels, all but one of
    /// them by zero, because the blocks stay dense.
    pub fn with_biases(mut self, weight: f64) -> Self {
        let (channels, taps) = (self.result_channels(), self.row_length());
        for group in &mut self.groups {
            group.columns.extend((taps..taps + channels).map(|column| column as u32));
            let own = self.inputs..self.inputs + channels;
            let patches = group.patches.iter().map(|patch| Patch {
                gather: patch
                    .gather
                    .iter()
                    .copied()
                    .chain(own.clone().map(|row| row as u32))
                    .collect(),
                scatter: patch.scatter.clone(),
            });
            group.patches = patches.collect();
        }
        self.inputs += channels;
        self.bias_weight = Some(weight);
        self
    }

    /// Columns of the `[result channel][tap]` matrix, with those of biases.
    pub(crate) fn row_length(&self) -> usize {
        let biases = self.bias_weight.map_or(0, |_| self.result_channels());
        self.kernel.row_length(self.direction) + biases
    }

    /// Number of channels of the result; each has its own scale.
    pub fn result_channels(&self) -> usize {
        self.kernel.result_channels(self.direction)
    }

    /// Number of result rows of each channel; row `r` belongs to channel `r / rows_per_channel`.
    pub fn rows_per_channel(&self) -> usize {
        self.outputs / self.result_channels()
    }

    /// Multiply-adds of one application to a single sample.
    pub fn multiply_adds(&self) -> usize {
        let channels = self.result_channels();
        self.groups.iter().map(|group| group.columns.len() * group.patches.len() * channels).sum()
    }

    /// Cuts a row-major matrix `[result channel][tap]` into the blocks of the groups.
    pub(crate) fn map(&self, matrix: &[i32]) -> Result<LinearMap, MapError> {
        let rows = self.result_channels();
        let row_length = self.row_length();
        let groups = self.groups.iter().map(|group| {
            let taps = group.columns.len();
            let mut weights = Vec::with_capacity(rows * taps);
            for row in matrix.chunks_exact(row_length) {
                weights.extend(group.columns.iter().map(|&column| row[column as usize]));
            }
            Group { taps, rows, weights, patches: Arc::clone(&group.patches) }
        });
        LinearMap::new(self.inputs, self.outputs, groups.collect())
    }
}

/// One direction of space: every result position, sorted by the taps that reach it.
struct Axis {
    variants: Vec<Variant>,
}

/// Result positions along one axis that are reached by the same kernel taps.
struct Variant {
    taps: Vec<usize>,
    maximal: bool,
    positions: Vec<Position>,
}

struct Position {
    target: usize,
    /// The source position under each of the variant's taps.
    sources: Vec<usize>,
}

impl Axis {
    fn new(kernel: &KernelShape, direction: Direction, input: usize, output: usize) -> Self {
        let targets = match direction {
            Direction::Forward => output,
            Direction::Backward => input,
        };
        let mut reached = vec![(Vec::new(), Vec::new()); targets];
        for tap in 0..kernel.folded_side() {
            for position in 0..output {
                // Under the kernel at `position`, tap `tap` lies on this line of the padded input.
                let padded = position * kernel.folded_stride() + tap;
                let Some(pixel) = padded.checked_sub(kernel.padding).filter(|&p| p < input) else {
                    continue;
                };
                let (target, source) = match direction {
                    Direction::Forward => (position, pixel),
                    Direction::Backward => (pixel, position),
                };
                let (taps, sources) = &mut reached[target];
                taps.push(tap);
                sources.push(source);
            }
        }
        Self::sorted(reached)
    }

    fn sorted(reached: Vec<(Vec<usize>, Vec<usize>)>) -> Self {
        let mut variants: Vec<Variant> = Vec::new();
        for (target, (taps, sources)) in reached.into_iter().enumerate() {
            let position = Position { target, sources };
            match variants.iter_mut().find(|variant| variant.taps == taps) {
                Some(variant) => variant.positions.push(position),
                None => {
                    variants.push(Variant { taps, maximal: true, positions: vec![position] });
                }
            }
        }
        for index in 0..variants.len() {
            let taps = &variants[index].taps;
            let contains = |other: &Variant| {
                other.taps.len() > taps.len() && taps.iter().all(|tap| other.taps.contains(tap))
            };
            variants[index].maximal = !variants.iter().any(contains);
        }
        Self { variants }
    }
}

fn group(from: Shape, to: Shape, side: usize, line: &Variant, column: &Variant) -> GroupGeometry {
    let columns = gathered(from.channels, (side, side), &line.taps, &column.taps);
    let maximal = line.maximal && column.maximal;
    let mut patches = Vec::with_capacity(line.positions.len() * column.positions.len());
    for y in &line.positions {
        for x in &column.positions {
            let gather = gathered(from.channels, (from.height, from.width), &y.sources, &x.sources);
            let scatter = gathered(to.channels, (to.height, to.width), &[y.target], &[x.target]);
            patches.push(Patch { gather, scatter });
        }
    }
    GroupGeometry { columns, maximal, patches: patches.into() }
}

/// The scalars of a channel-major map at the crossings of `lines` and `columns`, in every channel.
fn gathered(
    channels: usize,
    (height, width): (usize, usize),
    lines: &[usize],
    columns: &[usize],
) -> Vec<u32> {
    let mut rows = Vec::with_capacity(channels * lines.len() * columns.len());
    for channel in 0..channels {
        for &y in lines {
            rows.extend(columns.iter().map(|&x| ((channel * height + y) * width + x) as u32));
        }
    }
    rows
}
