//! The clear-text twin of an encrypted session.

use sphinx_gradient::{ClearStage, Tensor};
use sphinx_network::{NetworkSpec, Plan, StageParameters};
use sphinx_optimizer::TrainingRule;

use crate::error::ClientError;
use crate::traffic::Traffic;
use crate::training::evaluator::{Direction, Evaluator, Shard, Update, Whole};
use crate::training::link::no_product;
use crate::training::sealed::Sealed;
use crate::training::trained::Trained;

/// A session without a server: the same training loop on layers in the clear, in this process.
///
/// It never connects to anything. It serves to compare encrypted training with, and to search for
/// hyper-parameters.
pub struct ClearTwin {
    layers: Vec<ClearStage>,
    /// What the layers compute with.
    parameters: Vec<StageParameters>,
    trained: Trained,
    version: u64,
    steps: u64,
}

impl ClearTwin {
    /// A twin of a model with these parameters, trained by `rule`.
    ///
    /// # Errors
    /// [`crate::TrainingError::Optimizer`] for hyper-parameters outside their domains.
    pub fn new(
        plan: &Plan,
        parameters: Vec<StageParameters>,
        rule: TrainingRule,
    ) -> Result<Self, ClientError> {
        let layers = plan.stages.iter().map(ClearStage::new).collect();
        let weights = parameters.iter().map(|stage| stage.weights.clone()).collect();
        let biases = parameters.iter().map(|stage| stage.biases.clone()).collect();
        let trained = Trained::fresh(weights, biases, rule, NetworkSpec::DEFAULT_BIAS_BOUND)?;
        Ok(Self { layers, parameters, trained, version: 0, steps: 0 })
    }

    /// The parameters as trained so far.
    pub fn parameters(&self) -> &[StageParameters] {
        &self.parameters
    }
}

impl Evaluator for ClearTwin {
    fn version(&self) -> u64 {
        self.version
    }

    fn biases(&self) -> &[Vec<f32>] {
        &self.trained.biases
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        let (Some(layer), Some(parameters)) = (self.layers.get(stage), self.parameters.get(stage))
        else {
            return Err(no_product(stage, blocks, self.layers.len()));
        };
        let mut results = Vec::with_capacity(blocks.len());
        for block in blocks {
            results.push(match direction {
                Direction::Forward => layer.forward(parameters, block)?,
                Direction::Backward => layer.backward(parameters, block)?,
            });
        }
        Ok(results)
    }

    fn shards(&mut self) -> Vec<Box<dyn Shard + '_>> {
        vec![Box::new(Whole(self))]
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    /// Nothing travels, so nothing is sealed.
    fn seal(&mut self, _: u64, _: &Update, _: bool) -> Result<Sealed, ClientError> {
        Ok(Sealed::default())
    }

    fn commit(&mut self, step: u64, _sealed: &Sealed, update: &Update) -> Result<(), ClientError> {
        let mut trained = self.trained.clone();
        trained.advance(&self.trained.rates(step), update)?;
        self.trained = trained;
        let trained = self.trained.weights.weights.iter().zip(&self.trained.biases);
        for (parameters, (weights, biases)) in self.parameters.iter_mut().zip(trained) {
            parameters.weights.clone_from(weights);
            parameters.biases.clone_from(biases);
        }
        self.steps = step + 1;
        self.version += 1;
        Ok(())
    }

    fn reopen(&mut self, _step: u64) -> Result<bool, ClientError> {
        Ok(false)
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use sphinx_network::{NetworkSpec, initial_parameters};
    use sphinx_optimizer::{Decay, OptimizerSpec, Schedule};

    use super::*;
    use crate::error::TrainingError;

    #[test]
    fn rejects_a_stage_that_is_not_there() {
        let plan = Plan::new(&NetworkSpec::builtin("mlp-100").unwrap()).unwrap();
        let schedule = Schedule { peak: 0.1, decay: Decay::Constant, warmup: 0, total: 1 };
        let rule = TrainingRule { optimizer: OptimizerSpec::ADAM, schedule, averaging: None };
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(1));
        let mut twin = ClearTwin::new(&plan, parameters, rule).unwrap();
        let input = Tensor::zeros(100, 16).unwrap();
        let error = twin.evaluate(2, Direction::Forward, &[&input]).unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::Training(TrainingError::NoProduct { stage: 2, stages: 2, .. })
            ),
            "{error}"
        );
    }

    #[test]
    fn rejects_adopting_an_average_that_is_not_kept() {
        let plan = Plan::new(&NetworkSpec::builtin("mlp-100").unwrap()).unwrap();
        let schedule = Schedule { peak: 0.1, decay: Decay::Constant, warmup: 0, total: 1 };
        let rule = TrainingRule { optimizer: OptimizerSpec::ADAM, schedule, averaging: None };
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(1));
        let mut twin = ClearTwin::new(&plan, parameters.clone(), rule).unwrap();
        let error = twin.commit(
            0,
            &Sealed::default(),
            &Update { adopts_average: true, ..Update::default() },
        );
        assert!(matches!(error, Err(ClientError::Training(TrainingError::NoAverage))), "{error:?}");
        assert!(twin.version() == 0 && twin.parameters() == parameters);
        let rule = TrainingRule { averaging: Some(1.0), ..rule };
        assert!(matches!(
            ClearTwin::new(&plan, parameters, rule),
            Err(ClientError::Training(TrainingError::Optimizer(_)))
        ));
    }
}
