//! The gradients of a few neighbouring examples at a time, one per vector lane.

use pulp::{Simd, WithSimd};

use super::conv::{ConvGeometry, ConvSum, ConvTile};
use super::copies::Gram;
use crate::tensor::{SLOT_GROUP, Tensor};

/// Examples are scaled down to this fraction of the clipping norm, so that the rounding of the
/// norm, summed in `f32` over blocks of [`BLOCK`], cannot carry one above it.
const MARGIN: f32 = 1.0 - 8e-6;

/// Number of squares summed before they are added to the total.
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
pub(super) struct Span<'a> {
    pub(super) stages: &'a [StageFactors<'a>],
    pub(super) first: usize,
    /// Of the examples of this span.
    pub(super) labels: &'a [Option<u8>],
    pub(super) copies: Copies,
    /// Norm above which an example is scaled down.
    pub(super) threshold: Option<f32>,
    /// What each copy of an example is multiplied by in the sum: its clipping factor over the
    /// number of copies.
    pub(super) factors: &'a mut [f32],
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

impl WithSimd for Span<'_> {
    type Output = SpanSum;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> SpanSum {
        let lanes = S::F32_LANES;
        let mut tiles: Vec<Option<ConvTile<'_>>> = self
            .stages
            .iter()
            .map(|stage| stage.conv.as_ref().map(|geometry| ConvTile::new(geometry, lanes)))
            .collect();
        let mut gram = Gram::new(self.copies.count, lanes);
        let share = 1.0 / self.copies.count as f32;
        let (mut clipped, mut not_finite) = (0, 0);

        let labels = self.labels.chunks_exact(lanes);
        let factors = self.factors.chunks_exact_mut(lanes);
        for (index, (labels, factors)) in labels.zip(factors).enumerate() {
            let slot = self.first + index * lanes;
            let mut squares = [0.0f32; SLOT_GROUP];
            let squares = &mut squares[..lanes];
            if self.copies.count == 1 {
                let norms = squared_norms(simd, self.stages, &mut tiles, slot);
                S::as_mut_simd_f32s(squares).0[0] = norms;
            } else {
                let stages = (self.stages, self.copies);
                squared_norms_of_means(simd, stages, &mut tiles, &mut gram, slot, squares);
            }
            for ((square, label), factor) in squares.iter().zip(labels).zip(factors.iter_mut()) {
                // Padding counts as well: its factor is zero, but zero times infinity is not.
                not_finite += usize::from(!square.is_finite());
                if label.is_some() {
                    let clipping = clip_factor(*square, self.threshold);
                    clipped += usize::from(clipping < 1.0);
                    *factor = clipping * share;
                }
            }
            let factors = S::as_simd_f32s(factors).0[0];
            tiles.iter_mut().flatten().for_each(|tile| tile.accumulate(simd, factors));
        }
        let convs = tiles.into_iter().map(|tile| tile.map(ConvTile::finish)).collect();
        SpanSum { convs, clipped, not_finite }
    }
}

/// The squared norms of the examples from `slot` on; leaves the gradients of the convolutions in
/// their tiles.
#[inline(always)]
fn squared_norms<S: Simd>(
    simd: S,
    stages: &[StageFactors<'_>],
    tiles: &mut [Option<ConvTile<'_>>],
    slot: usize,
) -> S::f32s {
    let mut total = simd.splat_f32s(0.0);
    for (stage, tile) in stages.iter().zip(tiles) {
        let squares = if let Some(tile) = tile {
            tile.load(simd, stage.input, stage.delta, slot);
            tile.differentiate(simd, false);
            let gradient = tile.gradient::<S>();
            sum_of_squares(simd, gradient.len(), |index| gradient[index])
        } else {
            // ‖δ aᵀ‖² = ‖δ‖² ‖a‖², and the gradient of the biases is δ itself.
            let input = column_squares(simd, stage.input, slot);
            let delta = column_squares(simd, stage.delta, slot);
            simd.mul_add_e_f32s(input, delta, delta)
        };
        total = simd.add_f32s(total, squares);
    }
    total
}

/// As [`squared_norms`] for the mean over the copies of each example; leaves the *sums* over the
/// copies in the tiles.
///
/// The gradients of convolutions are formed, so what is measured is what is released. Those of
/// dense layers go into the released sum copy by copy, and their rounding there is that of the
/// copies' own size, which cancellation in the mean does not lower. So an example also counts as
/// large as the copies' dense gradients taken apart, each divided by the number of copies: then no
/// slot adds more than the clipping norm to the sum, as without copies. That never binds unless the
/// mean is shorter than the copies by as much as their number.
#[inline(always)]
fn squared_norms_of_means<S: Simd>(
    simd: S,
    (stages, copies): (&[StageFactors<'_>], Copies),
    tiles: &mut [Option<ConvTile<'_>>],
    gram: &mut Gram,
    slot: usize,
    squares: &mut [f32],
) {
    let mut norms = [0.0f64; SLOT_GROUP];
    let mut spreads = [0.0f64; SLOT_GROUP];
    for (stage, tile) in stages.iter().zip(tiles) {
        if let Some(tile) = tile {
            for copy in 0..copies.count {
                tile.load(simd, stage.input, stage.delta, copy * copies.stride + slot);
                tile.differentiate(simd, copy > 0);
            }
            let gradient = tile.gradient::<S>();
            let sums = sum_of_squares(simd, gradient.len(), |index| gradient[index]);
            let mut lanes = [0.0f32; SLOT_GROUP];
            S::as_mut_simd_f32s(&mut lanes[..squares.len()]).0[0] = sums;
            norms.iter_mut().zip(lanes).for_each(|(norm, square)| *norm += f64::from(square));
        } else {
            let own = gram.squares(simd, (stage.input, stage.delta), slot, copies.stride);
            norms.iter_mut().zip(own.norm).for_each(|(norm, square)| *norm += square);
            spreads.iter_mut().zip(own.spread).for_each(|(sum, spread)| *sum += spread * spread);
        }
    }
    let count = copies.count as f64;
    for ((square, norm), spread) in squares.iter_mut().zip(norms).zip(spreads) {
        // ‖mean‖ = ‖sum‖ / count; the copies' norms add up to the spread, each is divided by the
        // count, and the mean of that over the slots is another division.
        *square = (norm / (count * count)).max(spread / count.powi(4)) as f32;
    }
}

#[inline(always)]
fn column_squares<S: Simd>(simd: S, tensor: &Tensor, slot: usize) -> S::f32s {
    sum_of_squares(simd, tensor.rows(), |row| S::as_simd_f32s(&tensor.row(row)[slot..]).0[0])
}

#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, length: usize, value: impl Fn(usize) -> S::f32s) -> S::f32s {
    let mut total = simd.splat_f32s(0.0);
    for first in (0..length).step_by(BLOCK) {
        let mut block = simd.splat_f32s(0.0);
        for index in first..length.min(first + BLOCK) {
            let value = value(index);
            block = simd.mul_add_e_f32s(value, value, block);
        }
        total = simd.add_f32s(total, block);
    }
    total
}

/// The factor that brings a gradient of this squared norm below the threshold.
fn clip_factor(square: f32, threshold: Option<f32>) -> f32 {
    match threshold.map(|norm| norm * MARGIN) {
        Some(target) if square.sqrt() > target => target / square.sqrt(),
        Some(_) | None => 1.0,
    }
}
