//! The gradients of a few neighbouring examples at a time, one per vector lane.

use pulp::{Simd, WithSimd};

use super::conv::{ConvGeometry, ConvSum, ConvTile};
use crate::tensor::{SLOT_GROUP, Tensor};

/// Examples are scaled down to this fraction of the clipping norm, so that the rounding of the norm, summed in
/// `f32` over blocks of [`BLOCK`], cannot carry one above it.
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

/// Neighbouring slots worked on by one thread: writes their clipping factors (0 for padding) and sums the clipped
/// gradients of the convolutions.
pub(super) struct Span<'a> {
    pub(super) stages: &'a [StageFactors<'a>],
    pub(super) first_slot: usize,
    pub(super) labels: &'a [Option<u8>],
    /// Norm above which an example is scaled down.
    pub(super) threshold: Option<f32>,
    pub(super) clip_factors: &'a mut [f32],
}

/// What a [`Span`] yields beside the clipping factors.
pub(super) struct SpanSum {
    /// By stage, for those that are convolutions.
    pub(super) convs: Vec<Option<ConvSum>>,
    /// Number of examples scaled down.
    pub(super) clipped: usize,
    /// Number of slots whose gradient is infinite or not a number.
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
        let (mut clipped, mut not_finite) = (0, 0);

        let labels = self.labels.chunks_exact(lanes);
        let factors = self.clip_factors.chunks_exact_mut(lanes);
        for (index, (labels, factors)) in labels.zip(factors).enumerate() {
            let slot = self.first_slot + index * lanes;
            // Each lane holds the gradient of one example until the factors are applied: examples that are to
            // share one clipping, as augmented copies of one image, would be averaged between these two steps.
            let mut squares = [0.0f32; SLOT_GROUP];
            let squares = &mut squares[..lanes];
            S::as_mut_simd_f32s(squares).0[0] = squared_norms(simd, self.stages, &mut tiles, slot);
            for ((square, label), factor) in squares.iter().zip(labels).zip(factors.iter_mut()) {
                // Padding counts as well: its factor is zero, but zero times infinity is not.
                not_finite += usize::from(!square.is_finite());
                if label.is_some() {
                    *factor = clip_factor(*square, self.threshold);
                    clipped += usize::from(*factor < 1.0);
                }
            }
            let factors = S::as_simd_f32s(factors).0[0];
            tiles.iter_mut().flatten().for_each(|tile| tile.accumulate(simd, factors));
        }
        let convs = tiles.into_iter().map(|tile| tile.map(ConvTile::finish)).collect();
        SpanSum { convs, clipped, not_finite }
    }
}

/// The squared norms of the examples from `slot` on; leaves the gradients of the convolutions in their tiles.
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
            tile.differentiate(simd);
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
