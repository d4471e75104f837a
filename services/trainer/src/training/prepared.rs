//! A model version made ready for evaluation.

use std::sync::Arc;

use sphinx_linalg::{BiasError, EncryptedBiases, PackedMap, ScaledBiases, bias_scale_step};
use sphinx_network::{Direction, Plan, Stage};
use sphinx_quantise::{Geometry, LowerError, TrainingBudget};

/// Integers per unit of a stage's largest input. With the weights' share of the range this balances, for layers
/// of a few hundred taps, the noise of encryption against the rounding of weights (docs/cryptography.md).
const INPUT_SCALE: f64 = (1 << 14) as f64;
/// Largest absolute integer result. The room up to 2^31 is for noise: a result's absolute weights sum to at most
/// 2^31 / 2^14, so six deviations of the noise of its inputs (9.25 each) are below 2^23 however they are spread.
const RANGE: f64 = ((1u64 << 31) - (1 << 23)) as f64;
/// Largest absolute integer weight; finer weights than this would only amplify noise.
const MAX_WEIGHT: i32 = 1 << 20;

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

    /// Integers per unit of a stage's input.
    pub fn forward_input_scale(stage: &Stage) -> f64 {
        INPUT_SCALE / f64::from(stage.input_bound)
    }

    /// Integers per unit of a normalised delta.
    pub fn backward_input_scale() -> f64 {
        INPUT_SCALE
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
        let budget = TrainingBudget {
            range: RANGE,
            input_scale: Self::forward_input_scale(stage),
            input_bound: f64::from(stage.input_bound),
            bias_bound: self.bias_bound,
            scale_step: bias_scale_step(),
            max_weight: MAX_WEIGHT,
        };
        let lowered = geometry.lower(weights, &budget)?;
        let biases = Some(biases.at_scales(&lowered.scales));
        let (scales, rows_per_channel) = (lowered.scales, lowered.rows_per_channel);
        Ok(Product { map: PackedMap::new(lowered.map), scales, biases, rows_per_channel })
    }

    fn backward(geometry: &Geometry, weights: &[f32]) -> Result<Product, LowerError> {
        let budget = TrainingBudget {
            range: RANGE,
            input_scale: Self::backward_input_scale(),
            input_bound: 1.0,
            bias_bound: 0.0,
            scale_step: 1.0,
            max_weight: MAX_WEIGHT,
        };
        let lowered = geometry.lower(weights, &budget)?;
        let (scales, rows_per_channel) = (lowered.scales, lowered.rows_per_channel);
        Ok(Product { map: PackedMap::new(lowered.map), scales, biases: None, rows_per_channel })
    }
}
