//! What a training is like that nobody chose a network for.

use sphinx_client::{OptimizerSpec, Privacy, TrainingOptions};
use sphinx_optimizer::Decay;
use sphinx_privacy::{Delta, PlanError, Target};

use crate::defaults;
use crate::error::CliError;

/// Images for each block of a step.
const IMAGES_PER_BLOCK: usize = 20_000;
/// Most blocks of a step: more send more at once and learn no better.
const MOST_BLOCKS: u64 = 4;
/// Passes over the data: linear classifiers learn slowly and overfit little under noise.
const EPOCHS: f64 = 30.0;
/// Learning rate of a linear classifier on scattering features, on gradients clipped to
/// [`defaults::CLIPPING_NORM`]: that of the recipes `deskew-linear-*`.
const RATE: f32 = 6.0;
const FLOOR: f32 = 0.2;
/// Decay of the average of the parameters, and that of short trainings.
const AVERAGING: f32 = 0.98;
const SHORT_AVERAGING: f32 = 0.9;
/// Images below which a training has few steps.
const FEW_IMAGES: usize = 10_000;

/// Options for an automatic network on so many images: those that the published linear recipes
/// have, with blocks by the number of images.
pub fn options(examples: usize, delta: Delta) -> Result<TrainingOptions, CliError> {
    let target = Target::new(defaults::EPSILON, delta).map_err(PlanError::from)?;
    let few = examples < FEW_IMAGES;
    Ok(TrainingOptions {
        epochs: EPOCHS,
        blocks: (examples.div_ceil(IMAGES_PER_BLOCK) as u64).clamp(1, MOST_BLOCKS),
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: defaults::SGD_MOMENTUM, nesterov: false },
        learning_rate: RATE,
        decay: Decay::Cosine { floor: FLOOR },
        warmup: 0,
        averaging: Some(if few { SHORT_AVERAGING } else { AVERAGING }),
        augmentation: None,
        persons: None,
        privacy: Privacy::Budget { target, clipping_norm: defaults::CLIPPING_NORM },
    })
}
