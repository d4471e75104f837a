//! Blocks of examples through forward and backward pass.

use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_gradient::{BlockGradient, BlockLoss, BlockPass, Clipping, Tensor};
use sphinx_network::Plan;
use sphinx_wire::training::MAX_EVALUATION_ROWS;

use crate::error::ClientError;
use crate::training::evaluator::{Direction, Shard};
use crate::training::inputs::{Inputs, Slot};

/// Most blocks that go through the layers together: each keeps 0.11 GB here for the way back in
/// `sphinx-mnist` (13 794 rows of 8 kB), and as much again while results come in.
const MOST_TOGETHER: usize = 4;

/// How many blocks of a network go through its layers together: as many as the trainer takes in
/// one evaluation and this side has room for.
pub(crate) fn blocks_together(plan: &Plan) -> usize {
    let rows = plan.stages.iter().map(|stage| {
        // Biases may come after the inputs.
        (stage.input.len() + stage.linear.bias_count()).max(stage.output.len())
    });
    (MAX_EVALUATION_ROWS / rows.max().unwrap_or(1).max(1)).clamp(1, MOST_TOGETHER)
}

/// How the slots of a block belong together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sharing {
    /// Each example has so many, which show it in copies.
    Copies(NonZeroUsize),
    /// Each person has so many, which show images of his or nothing.
    Persons(NonZeroUsize),
}

/// The clipped gradient sum of every block, over the examples or persons shown in its slots, and
/// the loss over the slots. All blocks, of which the first has number `first` in the step, go
/// through each layer together, so that a step takes as many exchanges for several blocks as for
/// one.
pub(crate) fn gradients(
    shard: &mut dyn Shard,
    plan: &Arc<Plan>,
    inputs: &Inputs<'_>,
    (first, blocks): (usize, &[Vec<Slot>]),
    sharing: Sharing,
    clipping: Clipping,
) -> Result<Vec<(BlockGradient, BlockLoss)>, ClientError> {
    let mut passes = Vec::with_capacity(blocks.len());
    for slots in blocks {
        passes.push(begin(plan, inputs, slots)?);
    }
    let stages = plan.stages.len();
    for stage in 0..stages {
        let activations: Vec<&Tensor> =
            passes.iter().map(|pass| pass.input(stage)).collect::<Result<_, _>>()?;
        let results = shard.evaluate(stage, Direction::Forward, first, &activations)?;
        for (pass, z) in passes.iter_mut().zip(results) {
            pass.absorb(stage, z)?;
        }
    }
    for stage in (1..stages).rev() {
        let deltas: Vec<_> =
            passes.iter().map(|pass| pass.delta(stage)).collect::<Result<_, _>>()?;
        let tensors: Vec<&Tensor> = deltas.iter().map(|delta| &delta.tensor).collect();
        let results = shard.evaluate(stage, Direction::Backward, first, &tensors)?;
        for (pass, e) in passes.iter_mut().zip(results) {
            pass.absorb_backward(stage, e)?;
        }
    }
    passes
        .iter()
        .map(|pass| {
            let gradient = match sharing {
                Sharing::Copies(copies) => pass.clipped_mean_gradient(copies, clipping)?,
                Sharing::Persons(slots) => pass.clipped_group_gradient(slots, clipping)?,
            };
            Ok((gradient, pass.loss()?))
        })
        .collect()
}

/// A block before its first layer.
fn begin(plan: &Arc<Plan>, inputs: &Inputs<'_>, slots: &[Slot]) -> Result<BlockPass, ClientError> {
    let labels: Vec<Option<u8>> = slots.iter().map(|slot| inputs.label(*slot)).collect();
    Ok(BlockPass::new(Arc::clone(plan), &inputs.tensor(slots)?, &labels)?)
}
