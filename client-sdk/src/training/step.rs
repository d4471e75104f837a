//! One block of examples through forward and backward pass.

use std::sync::Arc;

use sphinx_gradient::{BlockGradient, BlockLoss, BlockPass, Clipping};
use sphinx_linalg::SLOTS;
use sphinx_network::Plan;

use crate::error::ClientError;
use crate::training::cloud::{Direction, LinearCloud};
use crate::training::inputs::{Inputs, View};

/// The clipped gradient sum and the loss of the examples `indices`, at most 2048.
pub(crate) fn block_gradient(
    cloud: &mut dyn LinearCloud,
    plan: &Arc<Plan>,
    inputs: &Inputs<'_>,
    indices: &[usize],
    clipping: Clipping,
) -> Result<(BlockGradient, BlockLoss), ClientError> {
    let mut views = vec![None; SLOTS];
    let mut labels = vec![None; SLOTS];
    for ((view, label), &index) in views.iter_mut().zip(&mut labels).zip(indices) {
        *view = Some(View::of(index));
        *label = inputs.data().labels().get(index).copied();
    }
    let images = inputs.tensor(&views)?;
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
    Ok((pass.clipped_gradient(clipping)?, pass.loss()?))
}
