//! One block of examples through forward and backward pass.

use std::sync::Arc;

use sphinx_gradient::{BlockGradient, BlockLoss, BlockPass, Clipping, Tensor};
use sphinx_linalg::SLOTS;
use sphinx_network::Plan;

use crate::data::Dataset;
use crate::error::ClientError;
use crate::training::cloud::{Direction, LinearCloud};

/// The clipped gradient sum and the loss of the examples `indices`, at most 2048.
pub(crate) fn block_gradient(
    cloud: &mut dyn LinearCloud,
    plan: &Arc<Plan>,
    data: &Dataset,
    indices: &[usize],
    clipping: Clipping,
) -> Result<(BlockGradient, BlockLoss), ClientError> {
    let images = Tensor::new(data.pixels(), SLOTS, data.tensor(indices, SLOTS)?)?;
    let mut labels = vec![None; SLOTS];
    for (slot, &index) in labels.iter_mut().zip(indices) {
        *slot = data.labels().get(index).copied();
    }
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
