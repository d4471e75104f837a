//! The gradients of a few neighbouring examples at a time, one per vector lane.

use pulp::{Simd, WithSimd};

use super::conv::{ConvGeometry, ConvSum, ConvTile};
use super::copies::Gram;
use crate::tensor::{SLOT_GROUP, Tensor};

/// Examples are scaled down to this fraction of the clipping norm, so that rounding of norm and
/// factor cannot carry one above it, whatever the size of the network.
///
/// With u = 2^-24: a sum of at most [`BLOCK`] squares in `f32` is off by at most 64 u of itself,
/// sums of such sums in `f64` by next to nothing. The square of a dense layer's norm is a product
/// of two, off by 128 u, so a norm is off by 64 u. Quotient, number of copies and product of both
/// add 3 u to the factor, terms of second order less than 1 u. 68 u is 4.1e-6, and what is added to
/// the sum, taken exactly, has at most 1 − 3.9e-6 of the clipping norm.
const MARGIN: f64 = 1.0 - 8e-6;

/// Number of squares summed in `f32` before they are added to the total.
const BLOCK: usize = 64;

/// What the gradient of one stage is made from.
pub(super) struct StageFactors<'a> {
    /// `None` for a dense stage.
    pub(super) conv: Option<ConvGeometry>,
    /// What entered the stage.
    pub(super) input: &'a Tensor,
    /// The gradient at the stage's output.
    pub(super) delta: &'a Tensor,
}

/// Neighbouring examples worked on by one thread: writes their factors (0 for padding) and sums the
/// clipped gradients of the convolutions.
///
/// Examples a multiple of [`SLOT_GROUP`] apart are summed in `f32`, the sums of the
/// [`SLOT_GROUP`] such groups in `f64`. So groups are the same for vectors of any width, and with
/// at most [`GROUP`](super::GROUP) times [`SLOT_GROUP`] examples in a span none has more than
/// [`GROUP`](super::GROUP) members.
pub(super) struct Span<'a, 's> {
    pub(super) stages: &'a [StageFactors<'a>],
    pub(super) scratch: &'a mut Scratch<'s>,
    pub(super) first: usize,
    /// Slots in use of each example of this span: 0 for padding.
    pub(super) shown: &'a [u32],
    pub(super) copies: Copies,
    /// Norm above which an example is scaled down.
    pub(super) threshold: Option<f32>,
    /// What each slot of an example is multiplied by in the sum: its clipping factor over the
    /// number of its slots in use.
    pub(super) factors: &'a mut [f32],
}

/// What a thread works in.
pub(super) struct Scratch<'a> {
    /// By stage, for those that are convolutions.
    tiles: Vec<Option<ConvTile<'a>>>,
    gram: Gram,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(stages: &'a [StageFactors<'_>], copies: usize) -> Self {
        let tiles = stages.iter().map(|stage| stage.conv.as_ref().map(ConvTile::new)).collect();
        Self { tiles, gram: Gram::new(copies) }
    }
}

/// Where the copies of an example are: copy k of example e in slot `k * stride + e`, so that vector
/// lanes hold different examples and the gradients of copies are added lane by lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    pub(super) count: usize,
    pub(super) stride: usize,
}

/// What a [`Span`] yields beside the factors.
pub(super) struct SpanSum {
    /// By stage, for those that are convolutions.
    pub(super) convs: Vec<Option<ConvSum>>,
    /// Number of examples scaled down.
    pub(super) clipped: usize,
    /// Number of examples whose gradient is infinite or not a number.
    pub(super) not_finite: usize,
}

impl WithSimd for Span<'_, '_> {
    type Output = SpanSum;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> SpanSum {
        let lanes = S::F32_LANES;
        let Scratch { tiles, gram } = self.scratch;
        let (mut clipped, mut not_finite) = (0, 0);

        for lane in (0..SLOT_GROUP).step_by(lanes) {
            for first in (lane..self.shown.len()).step_by(SLOT_GROUP) {
                let slot = self.first + first;
                let shown = &self.shown[first..][..lanes];
                let squares = if self.copies.count == 1 {
                    squared_norms(simd, self.stages, tiles, slot)
                } else {
                    let stages = (self.stages, self.copies);
                    squared_norms_of_means(simd, stages, tiles, gram, (slot, shown))
                };
                let factors = &mut self.factors[first..][..lanes];
                for ((square, &shown), factor) in squares.iter().zip(shown).zip(&mut *factors) {
                    // Padding counts as well: its factor is zero, but zero times infinity is not.
                    // It also goes through the same steps, so that time does not tell it.
                    let filled = shown > 0;
                    let share = 1.0 / shown.max(1) as f32;
                    not_finite += usize::from(!(*square as f32).is_finite());
                    let clipping = clip_factor(*square, self.threshold);
                    clipped += usize::from(filled & (clipping < 1.0));
                    *factor = if filled { clipping * share } else { 0.0 };
                }
                let factors = S::as_simd_f32s(factors).0[0];
                tiles.iter_mut().flatten().for_each(|tile| tile.accumulate(simd, factors));
            }
            tiles.iter_mut().flatten().for_each(ConvTile::flush::<S>);
        }
        let convs = tiles.iter_mut().map(|tile| tile.as_mut().map(ConvTile::take)).collect();
        SpanSum { convs, clipped, not_finite }
    }
}

/// The squared norms of the examples from `slot` on, one per lane; leaves the gradients of the
/// convolutions in their tiles.
#[inline(always)]
fn squared_norms<S: Simd>(
    simd: S,
    stages: &[StageFactors<'_>],
    tiles: &mut [Option<ConvTile<'_>>],
    slot: usize,
) -> [f64; SLOT_GROUP] {
    let mut totals = [0.0; SLOT_GROUP];
    for (stage, tile) in stages.iter().zip(tiles) {
        if let Some(tile) = tile {
            tile.load(simd, stage.input, stage.delta, slot);
            tile.differentiate(simd, false);
            let gradient = tile.gradient::<S>();
            let squares = sums_of_squares(simd, gradient.len(), |index| gradient[index]);
            totals.iter_mut().zip(squares).for_each(|(total, square)| *total += square);
        } else {
            // ‖δ aᵀ‖² = ‖δ‖² ‖a‖², and the gradient of the biases is δ itself.
            let inputs = column_squares(simd, stage.input, slot);
            let deltas = column_squares(simd, stage.delta, slot);
            for (total, (input, delta)) in totals.iter_mut().zip(inputs.iter().zip(deltas)) {
                *total += (input + 1.0) * delta;
            }
        }
    }
    totals
}

/// As [`squared_norms`] for the mean over the slots in use of each example; leaves the *sums* over
/// its slots in the tiles. Slots that are not in use add zeros.
///
/// The gradients of convolutions are formed, so what is measured is what is released. Those of
/// dense layers go into the released sum copy by copy, and their rounding there is that of the
/// copies' own size, which cancellation in the mean does not lower. So an example also counts as
/// large as the copies' dense gradients taken apart, each divided by the number of copies: then its
/// slots together add at most as many clipping norms to the sum as there are copies. That never
/// binds unless the mean is shorter than the copies by as much as their number.
#[inline(always)]
fn squared_norms_of_means<S: Simd>(
    simd: S,
    (stages, copies): (&[StageFactors<'_>], Copies),
    tiles: &mut [Option<ConvTile<'_>>],
    gram: &mut Gram,
    (slot, shown): (usize, &[u32]),
) -> [f64; SLOT_GROUP] {
    let mut norms = [0.0; SLOT_GROUP];
    let mut spreads = [0.0; SLOT_GROUP];
    for (stage, tile) in stages.iter().zip(tiles) {
        if let Some(tile) = tile {
            for copy in 0..copies.count {
                tile.load(simd, stage.input, stage.delta, copy * copies.stride + slot);
                tile.differentiate(simd, copy > 0);
            }
            let gradient = tile.gradient::<S>();
            let squares = sums_of_squares(simd, gradient.len(), |index| gradient[index]);
            norms.iter_mut().zip(squares).for_each(|(norm, square)| *norm += square);
        } else {
            let own = gram.squares(simd, (stage.input, stage.delta), slot, copies.stride);
            norms.iter_mut().zip(own.norm).for_each(|(norm, square)| *norm += square);
            spreads.iter_mut().zip(own.spread).for_each(|(sum, spread)| *sum += spread * spread);
        }
    }
    let count = copies.count as f64;
    // ‖mean‖ = ‖sum‖ / shown; the copies' norms add up to the spread, each is divided by the number
    // shown, and the mean of that over all slots is another division.
    std::array::from_fn(|lane| {
        let shown = f64::from(shown.get(lane).copied().unwrap_or(0).max(1));
        norms[lane].max(spreads[lane] / (count * count)) / (shown * shown)
    })
}

#[inline(always)]
fn column_squares<S: Simd>(simd: S, tensor: &Tensor, slot: usize) -> [f64; SLOT_GROUP] {
    sums_of_squares(simd, tensor.rows(), |row| S::as_simd_f32s(&tensor.row(row)[slot..]).0[0])
}

/// By lane.
#[inline(always)]
fn sums_of_squares<S: Simd>(
    simd: S,
    length: usize,
    value: impl Fn(usize) -> S::f32s,
) -> [f64; SLOT_GROUP] {
    let mut totals = [0.0; SLOT_GROUP];
    for first in (0..length).step_by(BLOCK) {
        let mut block = simd.splat_f32s(0.0);
        for index in first..length.min(first + BLOCK) {
            let value = value(index);
            block = simd.mul_add_e_f32s(value, value, block);
        }
        let mut lanes = [0.0f32; SLOT_GROUP];
        S::as_mut_simd_f32s(&mut lanes[..S::F32_LANES]).0[0] = block;
        totals.iter_mut().zip(lanes).for_each(|(total, block)| *total += f64::from(block));
    }
    totals
}

/// The factor that brings a gradient of this squared norm below the threshold, by the same steps
/// for gradients of any size.
fn clip_factor(square: f64, threshold: Option<f32>) -> f32 {
    let target = threshold.map(|norm| f64::from(norm) * MARGIN);
    target.map_or(1.0, |target| (target / square.sqrt()).min(1.0) as f32)
}
