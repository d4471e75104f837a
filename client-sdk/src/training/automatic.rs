//! What a training is like whose details nobody chose.

use sphinx_network::NetworkSpec;
use sphinx_optimizer::{Decay, OptimizerSpec};

use super::{Privacy, TrainingOptions};
use crate::defaults;
use crate::error::ClientError;

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

impl TrainingOptions {
    /// Options for an automatic network on so many images: those that the published linear recipes
    /// have, with blocks by the number of images.
    pub fn automatic(examples: usize, privacy: Privacy) -> Self {
        let few = examples < FEW_IMAGES;
        Self {
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
            privacy,
        }
    }

    /// Options for any network: [`TrainingOptions::automatic`] for an automatic one, else those
    /// that the command has without a flag.
    ///
    /// # Errors
    /// As [`TrainingOptions::resolve`].
    pub fn usual(
        network: &NetworkSpec,
        examples: usize,
        privacy: Privacy,
    ) -> Result<Self, ClientError> {
        let automatic = Self::automatic(examples, privacy);
        if network.is_auto() && privacy != Privacy::None {
            return Ok(automatic);
        }
        let mut options = Self {
            epochs: defaults::EPOCHS,
            blocks: defaults::BLOCKS,
            decay: defaults::DECAY,
            averaging: None,
            ..automatic
        };
        if privacy == Privacy::None {
            options.optimizer = defaults::ADAM;
            options.learning_rate = defaults::ADAM_RATE;
            // A short training is warmed up for as long as leaves it a step at the peak.
            let steps = options.resolve(examples)?.steps;
            options.warmup = defaults::ADAM_WARMUP.min(steps.saturating_sub(1));
        } else {
            options.learning_rate = defaults::SGD_PRIVATE_RATE;
        }
        Ok(options)
    }
}
