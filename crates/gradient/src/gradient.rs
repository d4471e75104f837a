//! Sums of clipped per-example gradients, by book-keeping.
//!
//! An example's gradient is needed twice: for its norm, and in the clipped sum. For a dense layer
//! it is the outer product `δ aᵀ`, so its squared norm is `‖δ‖² ‖a‖²`, and the sum over the block
//! is one matrix product with the columns of δ scaled by the clipping factors (Bu et al. 2022,
//! "Differentially private optimization on large model at small cost"). For a convolution positions
//! are many and weights few, so the gradient itself is formed, one vector lane per example, in
//! scratch memory that stays in the second-level cache.
//!
//! Sums are formed in `f32` over small fixed groups of slots, and beyond in `f64`.

mod conv;
mod copies;
mod dense;
mod tile;

use std::fmt;
use std::num::NonZeroUsize;

use rayon::prelude::*;
use sphinx_network::{Linear, Stage};

use self::conv::{ConvGeometry, ConvSum};
use self::tile::{Copies, Scratch, Span, SpanSum, StageFactors};
use crate::error::PassError;
use crate::tensor::{SLOT_GROUP, Tensor};

/// How the gradient of one example is bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clipping {
    /// Not at all: the sum has no finite sensitivity.
    None,
    /// All weights and biases of an example together are scaled down to this L2 norm if they exceed
    /// it.
    Flat(f32),
    /// As [`Clipping::Flat`] for the weights; the sum of the biases' gradients is left exact and
    /// has no finite sensitivity. Costs a second pass.
    Weights(f32),
}

/// The sum over a block of its examples' clipped gradients, before any noise: a secret.
#[derive(Clone, PartialEq)]
pub struct BlockGradient {
    /// By stage, in the order of the stage's weights.
    pub weights: Vec<Vec<f64>>,
    /// By stage, one per output channel or output.
    pub biases: Vec<Vec<f64>>,
    /// Number of examples in the sum.
    pub examples: usize,
    /// Number of examples whose gradient was scaled down.
    pub clipped: usize,
}

impl fmt::Debug for BlockGradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockGradient").field("stages", &self.weights.len()).finish_non_exhaustive()
    }
}

/// Most clipped gradients that are summed in `f32`; such sums are added in `f64`.
///
/// The members of a group depend on the number of slots and copies alone: their slots lie a
/// multiple of [`SLOT_GROUP`] apart, between two multiples of `GROUP * SLOT_GROUP`, and show the
/// same copy. What is in a slot touches the sum of its own group only, bit for bit, whatever the
/// machine's vectors and threads (`sphinx-privacy` bounds rounding errors by that).
const GROUP: usize = 8;

/// Tasks of a block that is large enough, on any number of threads.
const TASKS: usize = 32;

/// The clipped sum over stages given with their inputs and the gradients at their outputs; `labels`
/// by slot.
///
/// With several slots for each example in the block, the mean of the gradients in those that are in
/// use is what is clipped: slot k of example e is slot `k * slots / copies + e` of the block.
pub(crate) fn clipped_gradient(
    stages: &[(&Stage, (&Tensor, &Tensor))],
    labels: &[Option<u8>],
    copies: NonZeroUsize,
    clipping: Clipping,
) -> Result<BlockGradient, PassError> {
    check_slots(labels, copies)?;
    if let Clipping::Weights(norm) = clipping {
        let clipped = clipped_gradient(stages, labels, copies, Clipping::Flat(norm))?;
        let exact = clipped_gradient(stages, labels, copies, Clipping::None)?;
        return Ok(BlockGradient { biases: exact.biases, ..clipped });
    }
    let threshold = threshold(clipping)?;
    let factors: Vec<StageFactors<'_>> = stages
        .iter()
        .map(|&(stage, (input, delta))| StageFactors {
            conv: ConvGeometry::new(stage),
            input,
            delta,
        })
        .collect();

    let examples = labels.len() / copies.get();
    let layout = Copies { count: copies.get(), stride: examples };
    let mut example_factors = vec![0.0f32; examples];
    let shown = |example: usize| {
        (0..copies.get()).map(|k| u32::from(labels[k * examples + example].is_some())).sum()
    };
    let shown: Vec<u32> = (0..examples).map(shown).collect();
    // Not by the number of threads, which would move the borders of groups; a power of two, so
    // that no group crosses a multiple of `GROUP * SLOT_GROUP`.
    let span = SLOT_GROUP << (examples / SLOT_GROUP / TASKS).clamp(1, GROUP).ilog2();
    let scratch = || Scratch::new(&factors, copies.get());
    let spans: Vec<SpanSum> = example_factors
        .par_chunks_mut(span)
        .zip(shown.par_chunks(span))
        .enumerate()
        .map_init(scratch, |scratch, (index, (example_factors, shown))| {
            let span = Span {
                stages: &factors,
                scratch,
                first: index * span,
                shown,
                copies: layout,
                threshold,
                factors: example_factors,
            };
            pulp::Arch::new().dispatch(span)
        })
        .collect();

    let not_finite: usize = spans.iter().map(|span| span.not_finite).sum();
    if not_finite > 0 {
        return Err(PassError::Gradients { slots: not_finite * copies.get() });
    }
    let slot_factors = example_factors.repeat(copies.get());
    let mut gradient = BlockGradient {
        weights: Vec::with_capacity(stages.len()),
        biases: Vec::with_capacity(stages.len()),
        examples: shown.iter().filter(|&&slots| slots > 0).count(),
        clipped: spans.iter().map(|span| span.clipped).sum(),
    };
    for (index, (stage, (input, delta))) in stages.iter().enumerate() {
        let (weights, biases) = match stage.linear {
            Linear::Conv { .. } => {
                ConvSum::total(spans.iter().filter_map(|s| s.convs[index].as_ref()))
            }
            Linear::Dense { .. } => dense::clipped_sum(input, delta, &slot_factors, examples),
        };
        gradient.weights.push(weights);
        gradient.biases.push(biases);
    }
    Ok(gradient)
}

/// Whether the slots can be divided among examples with so many each.
fn check_slots(labels: &[Option<u8>], copies: NonZeroUsize) -> Result<(), PassError> {
    let (slots, copies) = (labels.len(), copies.get());
    let examples = slots / copies;
    if examples == 0 || examples * copies != slots || !examples.is_multiple_of(SLOT_GROUP) {
        return Err(PassError::Copies { copies, slots });
    }
    Ok(())
}

/// Whether the slots hold examples in so many copies.
pub(crate) fn check_copies(labels: &[Option<u8>], copies: NonZeroUsize) -> Result<(), PassError> {
    check_slots(labels, copies)?;
    let (copies, examples) = (copies.get(), labels.len() / copies);
    let differs = |example: &usize| {
        (1..copies).any(|copy| labels[copy * examples + example] != labels[*example])
    };
    match (0..examples).find(differs) {
        Some(example) => Err(PassError::CopyLabels { example }),
        None => Ok(()),
    }
}

/// The norm above which an example is scaled down, `None` for never.
fn threshold(clipping: Clipping) -> Result<Option<f32>, PassError> {
    match clipping {
        Clipping::None => Ok(None),
        Clipping::Flat(norm) | Clipping::Weights(norm) if norm.is_finite() && norm > 0.0 => {
            Ok(Some(norm))
        }
        Clipping::Flat(norm) | Clipping::Weights(norm) => {
            Err(PassError::ClippingNorm { got: norm })
        }
    }
}

#[cfg(test)]
mod tests;
