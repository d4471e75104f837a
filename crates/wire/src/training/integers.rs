//! The integer maps of a network's weights, alike on both sides.

use sha2::{Digest, Sha256};
use sphinx_linalg::Profile;
use sphinx_network::{Direction, Plan, Stage};
use sphinx_quantise::{Geometry, LowerError, Lowered};

use super::{backward_budget, forward_budget};
use crate::state::Hash;

/// Who adds the biases to a stage's results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BiasForm {
    /// The client, after decryption: the server never has them.
    #[default]
    AtHome,
    /// The server, to the ciphertexts, as the paper has it: z = W x + S b. They are encrypted
    /// afresh for every product under its keys, one row per channel after the inputs, and are never
    /// accumulated: what they are and their noise, the client knows exactly.
    Encrypted,
}

/// What both sides of a session agree on, besides the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    /// Of ciphertexts.
    pub profile: Profile,
    /// Who adds the biases.
    pub biases: BiasForm,
}

/// What never changes of a network: where each stage's products gather from.
#[derive(Debug)]
pub struct Geometries {
    plan: Plan,
    form: Form,
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
    /// The places of a network's products; biases are within ±`bias_bound`.
    pub fn new(plan: Plan, form: Form, bias_bound: f32) -> Self {
        let forward = |(index, stage): (usize, &Stage)| {
            let geometry = Geometry::new(index, stage, Direction::Forward);
            match form.biases {
                BiasForm::AtHome => geometry,
                // As one more input within the stage's bound.
                BiasForm::Encrypted => {
                    geometry.with_biases(f64::from(bias_bound) / f64::from(stage.input_bound))
                }
            }
        };
        let backward =
            |(index, stage): (usize, &Stage)| Geometry::new(index, stage, Direction::Backward);
        let stages = || plan.stages.iter().enumerate();
        let (forward, backward) =
            (stages().map(forward).collect(), stages().skip(1).map(backward).collect());
        Self { forward, backward, plan, form }
    }

    /// What both sides agree on.
    pub fn form(&self) -> Form {
        self.form
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
        let profile = self.form.profile;
        let mut backward = std::iter::once(None).chain(self.backward.iter().map(Some));
        let stages = self.plan.stages.iter().zip(&self.forward).zip(weights);
        stages
            .map(|((stage, geometry), weights)| {
                let forward = geometry.lower(weights, &forward_budget(stage, profile))?;
                let backward = backward.next().flatten();
                let budget = backward_budget(profile);
                let backward = backward.map(|geometry| geometry.lower(weights, &budget));
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
