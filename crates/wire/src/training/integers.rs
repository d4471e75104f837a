//! The integer maps of a network's weights, alike on both sides.

use sha2::{Digest, Sha256};
use sphinx_network::{Direction, Plan, Stage};
use sphinx_quantise::{Geometry, LowerError, Lowered};

use super::{backward_budget, forward_budget};
use crate::state::Hash;

/// What never changes of a network: where each stage's products gather from.
#[derive(Debug)]
pub struct Geometries {
    plan: Plan,
    forward: Vec<Geometry>,
    /// Of the stages from 1 on: nothing lies below the first.
    backward: Vec<Geometry>,
}

/// The products of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageIntegers {
    /// z = W a.
    pub forward: Lowered,
    /// e = Wᵀ δ; none for the first stage.
    pub backward: Option<Lowered>,
}

impl StageIntegers {
    /// The product of a direction.
    pub fn product(&self, direction: Direction) -> Option<&Lowered> {
        match direction {
            Direction::Forward => Some(&self.forward),
            Direction::Backward => self.backward.as_ref(),
        }
    }
}

impl Geometries {
    /// The places of a network's products.
    pub fn new(plan: Plan) -> Self {
        let build = |direction| {
            move |(index, stage): (usize, &Stage)| Geometry::new(index, stage, direction)
        };
        let stages = || plan.stages.iter().enumerate();
        let forward = stages().map(build(Direction::Forward)).collect();
        let backward = stages().skip(1).map(build(Direction::Backward)).collect();
        Self { forward, backward, plan }
    }

    /// The network.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The integers of weights by stage: a few passes over them, about 4 ms for `sphinx-mnist`.
    ///
    /// # Errors
    /// [`LowerError`] for weights that are not the network's, not finite or too large.
    pub fn lower(&self, weights: &[Vec<f32>]) -> Result<Vec<StageIntegers>, LowerError> {
        let mut backward = std::iter::once(None).chain(self.backward.iter().map(Some));
        let stages = self.plan.stages.iter().zip(&self.forward).zip(weights);
        stages
            .map(|((stage, geometry), weights)| {
                let forward = geometry.lower(weights, &forward_budget(stage))?;
                let backward = backward.next().flatten();
                let backward = backward.map(|geometry| geometry.lower(weights, &backward_budget()));
                Ok(StageIntegers { forward, backward: backward.transpose()? })
            })
            .collect()
    }
}

/// H of all integers and scales: what a session computes with.
pub fn working_sha256(stages: &[StageIntegers], optimizer: &Hash) -> Hash {
    let mut hash = Sha256::new_with_prefix(b"sphinx working state 1");
    hash.update(optimizer);
    let products = stages.iter().flat_map(|stage| [Some(&stage.forward), stage.backward.as_ref()]);
    for product in products.flatten() {
        product.scales.iter().for_each(|scale| hash.update(scale.to_bits().to_le_bytes()));
        for group in product.map.groups() {
            let bytes: Vec<u8> = group.weights.iter().flat_map(|w| w.to_le_bytes()).collect();
            hash.update(bytes);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
