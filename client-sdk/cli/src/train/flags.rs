//! How to train: the flags that `train` and `demo` share.

mod options;

pub use options::Setting;

use clap::{Args, ValueEnum};
use sphinx_client::{Augmentation, Privacy};
use sphinx_optimizer::WeightAverage;
use sphinx_privacy::Delta;

use crate::defaults;
use crate::error::CliError;

/// What `--privacy none` gives up, in plain words.
pub const EXPOSURE: &str = "\
Differential privacy is off. In every step the trainer then sees the exact gradients of the weights; images and
labels of your training set can be reconstructed from such gradients, and the finished weights may give single
images away to anybody who has them. Activations, biases and predictions stay encrypted or masked.";

/// What `--bias-noise off` gives up, in plain words.
pub const EXACT_BIASES: &str = "\
Noise on the biases' gradients is off, as in the paper of Tian et al.: no epsilon is proven for this model, now or later.
Its biases depend on single images and every later gradient depends on the biases, so one image changes more than its
own clipped gradient, and the noise on the weights does not cover that.";

/// How long, how fast, how private.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingFlags {
    /// Passes over the data; fractions are allowed
    #[arg(long, value_name = "E", value_parser = positive::<f64>)]
    epochs: Option<f64>,
    /// Blocks of 2048 images per step [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    blocks: Option<u64>,
    /// Expected images per step [default: the most that almost never overflow the blocks]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..))]
    batch: Option<u64>,
    /// How the images are protected against the server and users of the model [default: dp]
    #[arg(long, value_enum)]
    privacy: Option<PrivacyKind>,
    /// Privacy budget over the model's whole life [default: the one that it was last trained
    /// within, or 3]
    #[arg(long, value_name = "EPSILON", value_parser = positive::<f64>)]
    epsilon: Option<f64>,
    /// Delta of the budget; choose it below 1 / number of images [default: 1e-5]
    #[arg(long, value_name = "DELTA", value_parser = delta)]
    delta: Option<Delta>,
    /// Norm to which every image's gradient is clipped [default: 0.1]
    #[arg(long, value_name = "C", value_parser = positive::<f32>)]
    clip: Option<f32>,
    /// Whether the gradients of the encrypted biases are noised too; off is the paper's variant,
    /// without a proven epsilon [default: on]
    #[arg(long, value_enum)]
    bias_noise: Option<Switch>,
    /// Update rule [default: sgd, or adam with --privacy none]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerKind>,
    /// Largest learning rate [default: 24 for private sgd, 0.1 for exact sgd, 0.02 for adam]
    #[arg(long, value_name = "RATE", value_parser = positive::<f32>)]
    lr: Option<f32>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "M", value_parser = fraction)]
    momentum: Option<f32>,
    /// Nesterov's form of the momentum
    #[arg(long)]
    nesterov: bool,
    /// How the learning rate falls [default: cosine]
    #[arg(long, value_enum)]
    decay: Option<DecayKind>,
    /// Last learning rate over the largest [default: 0.05]
    #[arg(long, value_name = "F", value_parser = fraction)]
    decay_floor: Option<f32>,
    /// Steps over which the learning rate rises first [default: 0 for sgd, 20 for adam]
    #[arg(long, value_name = "STEPS")]
    warmup: Option<u64>,
    /// Decay of a moving average of all parameters, which becomes the model in the end [default:
    /// none is kept]
    #[arg(long, value_name = "DECAY", value_parser = decay)]
    averaging: Option<f32>,
    /// Copies of each image in a step, all but the first moved at random, whose gradients are
    /// averaged before clipping: 2, 4, 8 or 16; they take slots of the blocks [default: 1]
    #[arg(long, value_name = "K", value_parser = copies)]
    augment: Option<u64>,
    /// Most pixels by which the copies of --augment are moved, from 1 to 4 [default: 1]
    #[arg(long, value_name = "PIXELS", value_parser = shift)]
    shift: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// With noise
    On,
    /// Exact
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrivacyKind {
    /// Differential privacy: clipped, noised gradients
    Dp,
    /// None: the server sees exact gradients
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OptimizerKind {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecayKind {
    /// Not at all
    Constant,
    /// Along a line
    Linear,
    /// Along half a cosine wave
    Cosine,
}

impl TrainingFlags {
    /// δ, if it was given.
    pub fn delta(&self) -> Option<Delta> {
        self.delta
    }
}

/// What is given up, if no ε will be proven.
pub fn warning(privacy: &Privacy) -> Option<&'static str> {
    match privacy {
        Privacy::None => Some(EXPOSURE),
        Privacy::ExactBiases { .. } => Some(EXACT_BIASES),
        Privacy::Budget { .. } => None,
    }
}

/// The default δ.
pub fn default_delta() -> Result<Delta, CliError> {
    Ok(Delta::new(defaults::DELTA).map_err(sphinx_privacy::PlanError::from)?)
}

/// A finite number above zero.
pub fn positive<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr + Into<f64> + Copy,
{
    let parsed = text.parse::<T>().ok();
    let positive = |value: &T| (*value).into().is_finite() && (*value).into() > 0.0;
    parsed.filter(positive).ok_or_else(|| "expected a finite number above 0".to_owned())
}

/// δ in (0, 1).
pub fn delta(text: &str) -> Result<Delta, String> {
    let value = text.parse().map_err(|_| "expected a number such as 1e-5".to_owned())?;
    Delta::new(value).map_err(|error| error.to_string())
}

/// A decay in [0, 1).
fn decay(text: &str) -> Result<f32, String> {
    let decay = text.parse().map_err(|_| "expected a number such as 0.99".to_owned())?;
    WeightAverage::validate(decay).map(|()| decay).map_err(|error| error.to_string())
}

/// Copies of each image; 1 is none beside the image itself.
pub fn copies(text: &str) -> Result<u64, String> {
    let copies = text.parse().map_err(|_| "expected 1, 2, 4, 8 or 16".to_owned())?;
    let checked = Augmentation { copies, shift: defaults::SHIFT }.validate();
    if copies == 1 { Ok(1) } else { checked.map(|()| copies).map_err(|error| error.to_string()) }
}

/// Pixels by which copies are moved.
fn shift(text: &str) -> Result<u8, String> {
    let shift = text.parse().map_err(|_| "expected a number from 1 to 4".to_owned())?;
    let checked = Augmentation { copies: Augmentation::MOST_COPIES, shift }.validate();
    checked.map(|()| shift).map_err(|error| error.to_string())
}

fn fraction(text: &str) -> Result<f32, String> {
    let parsed = text.parse::<f32>().ok();
    parsed
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
