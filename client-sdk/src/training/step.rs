//! One block of examples through forward and backward pass.

use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_gradient::{BlockGradient, BlockLoss, BlockPass, Clipping};
use sphinx_network::Plan;

use crate::error::ClientError;
use crate::training::cloud::{Direction, LinearCloud};
use crate::training::inputs::{Inputs, View};

/// The clipped gradient sum of the examples shown in the slots, each in `copies` of them, and the loss over the slots.
pub(crate) fn block_gradient(
    cloud: &mut dyn LinearCloud,
    plan: &Arc<Plan>,
    inputs: &Inputs<'_>,
    views: &[Option<View>],
    copies: NonZeroUsize,
    clipping: Clipping,
) -> Result<(BlockGradient, BlockLoss), ClientError> {
    let label = |view: &Option<View>| inputs.data().labels().get(view.as_ref()?.example).copied();
    let labels: Vec<Option<u8>> = views.iter().map(label).collect();
    let images = inputs.tensor(views)?;
    let mut pass = BlockPass::new(Arc::clone(plan), &images, &labels)?;
    let stages = plan.stages.len();
    for stage in 0..stages {
        let z = cloud.evaluate(stage, Direction::Forward, pass.input(stage)?)?;
        pass.absorb(stage, z)?;
    }
    for stage in (1..stages).rev() {
        let delta = pass.delta(stage)?;
        let e = cloud.evaluate(stage, Direction::Backward, &delta.tensor)?;
        pass.absorb_backward(stage, e)?;
    }
    Ok((pass.clipped_mean_gradient(copies, clipping)?, pass.loss()?))
}
