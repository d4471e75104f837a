//! What a training will take and cost, said before anything is made or spent.

use serde::Serialize;
use sphinx_data::{Dataset, Pipeline};
use sphinx_network::{NetworkSpec, Plan, Shape};
use sphinx_privacy::{BLOCK_SLOTS, Epsilon};

use crate::error::ClientError;
use crate::training::{Protocol, ResolvedTraining, TrainingOptions};

/// Signal over noise below which a training comes to little. The signal of a step is the batch if
/// all gradients point one way, the noise grows with the root of the weights, and steps average it.
/// Trainings of this project that learn well have 40 and more.
const DROWNED: f64 = 12.0;

/// A training that was not begun yet.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Name of the network.
    pub network: String,
    /// Channels, rows and columns that it takes.
    pub input: [usize; 3],
    /// Weights that are trained.
    pub weights: usize,
    /// What pictures become before the network gets them.
    pub pipeline: Pipeline,
    /// Images to train on.
    pub images: usize,
    /// The same by class.
    pub images_per_class: Vec<usize>,
    /// Images to test with.
    pub test_images: usize,
    /// Passes over the data.
    pub epochs: f64,
    /// Updates of the model.
    pub steps: u64,
    /// Images of a step, in expectation with privacy.
    pub batch: u64,
    /// Blocks of 2048 slots per step.
    pub blocks: u64,
    /// ε of the whole training, if nothing was spent before.
    #[serde(skip)]
    pub epsilon: Option<Epsilon>,
    /// Standard deviation of the noise over the clipping norm; `None` without privacy.
    pub noise_multiplier: Option<f64>,
    /// Bytes that leave.
    pub bytes_up: u64,
    /// Bytes that come back, at most.
    pub bytes_down: u64,
    /// Signal over noise; `None` without noise.
    pub signal: Option<f64>,
}

impl Estimate {
    /// What training `spec` on `train` comes to; `test` images are kept to test with. Takes about
    /// 0.1 s, as [`TrainingOptions::resolve`].
    ///
    /// # Errors
    /// [`ClientError`] if the training cannot be planned.
    pub fn new(
        spec: &NetworkSpec,
        pipeline: &Pipeline,
        (train, test): (&Dataset, usize),
        options: &TrainingOptions,
    ) -> Result<Self, ClientError> {
        let (plan, training) = (Plan::new(spec)?, options.resolve(train.len())?);
        let weights = plan.weight_count();
        let slots = training.steps * options.blocks * BLOCK_SLOTS;
        let rows = plan.stages.iter().enumerate().map(|(index, stage)| {
            let (inputs, outputs) = (stage.input.len() as u64, stage.output.len() as u64);
            // The first stage has no way back.
            if index == 0 { (inputs, outputs) } else { (inputs + outputs, outputs + inputs) }
        });
        let (up, down) = rows.fold((0, 0), |(up, down), row| (up + row.0, down + row.1));
        let profile = Protocol::default().profile_of(&plan)?;
        let word = u64::from(profile.modulus_log2() / 8);
        let dimension = profile.dimension() as u64;
        let mut images_per_class = vec![0; train.classes().len()];
        train.labels().iter().for_each(|label| images_per_class[usize::from(*label)] += 1);
        let noise = training.noise_multiplier();
        let ResolvedTraining { steps, batch, epsilon, .. } = training;
        let Shape { channels, height, width } = spec.input;
        let signal = noise
            .map(|noise| batch as f64 * (steps as f64).sqrt() / (noise * (weights as f64).sqrt()));
        Ok(Self {
            network: spec.name.clone(),
            input: [channels, height, width],
            weights,
            pipeline: pipeline.clone(),
            images: train.len(),
            images_per_class,
            test_images: test,
            epochs: options.epochs,
            steps,
            batch,
            blocks: options.blocks,
            epsilon,
            noise_multiplier: noise,
            bytes_up: slots * up * word,
            // With the share of a block in its mask, which several blocks of a step share.
            bytes_down: slots * down * word * (BLOCK_SLOTS + dimension) / BLOCK_SLOTS,
            signal,
        })
    }

    /// What speaks against it.
    pub fn warning(&self) -> Option<String> {
        let signal = self.signal.filter(|signal| *signal < DROWNED)?;
        Some(format!(
            "warning: noise will drown the signal (signal over noise {signal:.1}, below {DROWNED}): \
             {} images are few for this ε. More images help most; then a larger --epsilon, a smaller \
             --size, or a network with fewer weights than {}. Nothing is spent before the first step.",
            self.images, self.weights
        ))
    }
}
