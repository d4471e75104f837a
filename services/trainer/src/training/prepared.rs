//! A model version made ready for evaluation.

use std::sync::Arc;

use sphinx_linalg::{BiasError, EncryptedBiases, PackedMap, ScaledBiases};
use sphinx_network::{Direction, Plan, Stage};
use sphinx_quantise::{Geometry, LowerError};
use sphinx_wire::training::{backward_budget, forward_budget};

/// What never changes of a network: where each stage's products gather from.
#[derive(Debug)]
pub(crate) struct Geometries {
    pub plan: Plan,
    bias_bound: f64,
    forward: Vec<Geometry>,
    /// Of the stages from 1 on: nothing lies below the first.
    backward: Vec<Geometry>,
}

/// One stage of one version.
#[derive(Debug)]
pub(crate) struct PreparedStage {
    pub forward: Arc<Product>,
    pub backward: Option<Arc<Product>>,
}

/// One linear product and the meaning of its results.
#[derive(Debug)]
pub(crate) struct Product {
    pub map: PackedMap<u32>,
    /// Integers per unit of result, one per channel.
    pub scales: Vec<f64>,
    /// Encrypted biases at these scales (forward only).
    pub biases: Option<ScaledBiases>,
    pub rows_per_channel: usize,
}

/// Why a version cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(transparent)]
    Lower(#[from] LowerError),
    #[error(transparent)]
    Bias(#[from] BiasError),
}

impl Geometries {
    pub fn new(plan: Plan, bias_bound: f32) -> Self {
        let build = |direction| {
            move |(index, stage): (usize, &Stage)| Geometry::new(index, stage, direction)
        };
        let stages = || plan.stages.iter().enumerate();
        let forward = stages().map(build(Direction::Forward)).collect();
        let backward = stages().skip(1).map(build(Direction::Backward)).collect();
        Self { bias_bound: f64::from(bias_bound), forward, backward, plan }
    }

    /// Quantises the weights of all stages and scales their biases.
    pub fn prepare(
        &self,
        weights: &[Vec<f32>],
        biases: &[EncryptedBiases],
    ) -> Result<Vec<PreparedStage>, PrepareError> {
        let mut backward = std::iter::once(None).chain(self.backward.iter().map(Some));
        let mut stages = Vec::with_capacity(self.forward.len());
        let parameters = weights.iter().zip(biases);
        for ((stage, geometry), (weights, biases)) in
            self.plan.stages.iter().zip(&self.forward).zip(parameters)
        {
            let forward = Arc::new(self.forward(stage, geometry, weights, biases)?);
            let backward = match backward.next().flatten() {
                Some(geometry) => Some(Arc::new(Self::backward(geometry, weights)?)),
                None => None,
            };
            stages.push(PreparedStage { forward, backward });
        }
        Ok(stages)
    }

    fn forward(
        &self,
        stage: &Stage,
        geometry: &Geometry,
        weights: &[f32],
        biases: &EncryptedBiases,
    ) -> Result<Product, LowerError> {
        let budget = forward_budget(stage, self.bias_bound);
        let lowered = geometry.lower(weights, &budget)?;
        let biases = Some(biases.at_scales(&lowered.scales));
        let (scales, rows_per_channel) = (lowered.scales, lowered.rows_per_channel);
        Ok(Product { map: PackedMap::new(lowered.map), scales, biases, rows_per_channel })
    }

    fn backward(geometry: &Geometry, weights: &[f32]) -> Result<Product, LowerError> {
        let lowered = geometry.lower(weights, &backward_budget())?;
        let (scales, rows_per_channel) = (lowered.scales, lowered.rows_per_channel);
        Ok(Product { map: PackedMap::new(lowered.map), scales, biases: None, rows_per_channel })
    }
}
