//! What is about to happen, said before anything is made or spent.

use serde::Serialize;
use sphinx_client::data::{Dataset, Pipeline, Preparation, shown_text};
use sphinx_client::{Protocol, ResolvedTraining, TrainingOptions};
use sphinx_network::{NetworkSpec, Plan, Shape};
use sphinx_privacy::BLOCK_SLOTS;

use crate::epsilon;
use crate::error::CliError;

/// Classes that are named with their images.
const NAMED: usize = 12;
/// Signal over noise below which a training comes to little. The signal of a step is the batch if
/// all gradients point one way, the noise grows with the root of the weights, and steps average it.
/// Trainings of this project that learn well have 40 and more.
const DROWNED: f64 = 12.0;

/// What is about to happen.
#[derive(Debug, Serialize)]
pub struct Outlook {
    network: String,
    input: [usize; 3],
    weights: usize,
    pipeline: Pipeline,
    images: usize,
    images_per_class: Vec<usize>,
    test_images: usize,
    epochs: f64,
    steps: u64,
    batch: u64,
    blocks: u64,
    epsilon: Option<f64>,
    noise_multiplier: Option<f64>,
    bytes_up: u64,
    bytes_down: u64,
    /// Signal over noise; `None` without noise.
    signal: Option<f64>,
    #[serde(skip)]
    privacy: String,
}

impl Outlook {
    /// # Errors
    /// [`CliError::Client`] if the training cannot be planned.
    pub fn new(
        spec: &NetworkSpec,
        pipeline: &Pipeline,
        (train, test): (&Dataset, usize),
        options: &TrainingOptions,
    ) -> Result<Self, CliError> {
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
        let ResolvedTraining { steps, batch, epsilon, .. } = &training;
        let Shape { channels, height, width } = spec.input;
        let noise = training.noise_multiplier();
        let signal = noise.map(|noise| {
            *batch as f64 * (*steps as f64).sqrt() / (noise * (weights as f64).sqrt())
        });
        let privacy = match (epsilon, noise) {
            (Some(epsilon), Some(noise)) => {
                format!("{}, noise of {noise:.2} clipping norms", epsilon::bounds(epsilon))
            }
            (None, Some(_)) => "ε none proven: the biases' gradients are not noised".to_owned(),
            _ => "none: the server sees exact gradients".to_owned(),
        };
        Ok(Self {
            network: spec.name.clone(),
            input: [channels, height, width],
            weights,
            pipeline: pipeline.clone(),
            images: train.len(),
            images_per_class,
            test_images: test,
            epochs: options.epochs,
            steps: *steps,
            batch: *batch,
            blocks: options.blocks,
            epsilon: epsilon.as_ref().map(sphinx_client::Epsilon::proven),
            noise_multiplier: noise,
            bytes_up: slots * up * word,
            // With the share of a block in its mask, which several blocks of a step share.
            bytes_down: slots * down * word * (BLOCK_SLOTS + dimension) / BLOCK_SLOTS,
            signal,
            privacy,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let [channels, height, width] = self.input;
        let counts = self.pipeline.classes.names().iter().zip(&self.images_per_class);
        let mut classes: Vec<String> = counts
            .take(NAMED)
            .map(|(name, count)| format!("{} {count}", shown_text(name)))
            .collect();
        if self.images_per_class.len() > NAMED {
            classes.push(format!("{} more classes", self.images_per_class.len() - NAMED));
        }
        let digits = self.pipeline.preparation == Preparation::Digit;
        let kind = if digits { ", pictures of digits" } else { "" };
        let up = indicatif::DecimalBytes(self.bytes_up);
        let down = indicatif::DecimalBytes(self.bytes_down);
        let mut text = format!(
            "data      {} images ({}), {} to test with\n\
             network   {}: takes {channels}x{height}x{width}{kind}, {} weights\n\
             training  {} epochs, {} steps of about {} images\n\
             privacy   {}\n\
             traffic   about {up} up, at most {down} down",
            self.images,
            classes.join(", "),
            self.test_images,
            self.network,
            self.weights,
            self.epochs,
            self.steps,
            self.batch,
            self.privacy,
        );
        if let Some(warning) = self.warning() {
            text += "\n\n";
            text += &warning;
        }
        text
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
