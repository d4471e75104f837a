//! Recipes: trainings written down, each with the result that was published for it.
//!
//! A recipe is a TOML file with everything that decides about a training: network, privacy,
//! schedule, and the seeds of the initial weights, which are public. Batches and noise are never
//! seeded: they come from the operating system's generator, because whoever knew them could undo
//! the privacy. Results therefore vary from run to run, and what a recipe promises is a mean and a
//! deviation.

mod builtin;
mod check;
mod error;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};

pub use error::RecipeError;

use crate::{Augmentation, Privacy, TrainingOptions};

/// A training that can be repeated.
///
/// ```
/// # fn main() -> Result<(), sphinx_client::recipe::RecipeError> {
/// let recipe = sphinx_client::recipe::Recipe::load("cnn-eps2")?;
/// assert_eq!(recipe.network, "gabor-cnn");
/// assert_eq!(recipe.options()?.epochs, recipe.training.epochs);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is called; a valid model id.
    pub name: String,
    /// What it is, in one line.
    pub description: String,
    /// A built-in network, or a TOML file relative to the recipe's.
    pub network: String,
    /// The images it is for, and where to get them; absent for the bundled MNIST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Seeds of the public initial weights used for the published result.
    pub seeds: Vec<u64>,
    /// How the examples are protected.
    pub privacy: RecipePrivacy,
    /// How to train.
    pub training: RecipeTraining,
    /// What came of it; absent until it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// Where the recipe's file is; `None` for a built-in one.
    #[serde(skip)]
    directory: Option<PathBuf>,
}

/// How a recipe protects the examples: [`Privacy`] as written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecipePrivacy {
    /// Not at all.
    None,
    /// By differential privacy.
    Budget {
        /// ε not to be exceeded.
        epsilon: f64,
        /// δ it is stated for.
        delta: f64,
        /// L2 norm to which each example's gradient is clipped.
        clipping_norm: f32,
    },
}

/// How a recipe trains: the rest of [`TrainingOptions`] as written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeTraining {
    /// Passes over the data.
    pub epochs: f64,
    /// Blocks of 2048 slots per step.
    pub blocks: u64,
    /// Expected examples per step; absent for as many as overflow the blocks seldom enough to leave
    /// δ alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
    /// Update rule.
    pub optimizer: OptimizerSpec,
    /// Largest learning rate.
    pub learning_rate: f32,
    /// How it falls.
    pub decay: Decay,
    /// Steps over which it rises first.
    #[serde(default)]
    pub warmup: u64,
    /// Decay per step of the moving average of all parameters that becomes the model; absent for
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaging: Option<f32>,
    /// Copies of each example whose gradients are averaged before clipping: 2, 4, 8 or 16; absent
    /// for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<u64>,
    /// Most pixels by which all copies but the first are moved, 1 to 4; present where `augment` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u8>,
}

/// What a recipe came to, under encryption on two cores of the machine that the benchmarks name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Share of the 10 000 test images that is recognised, mean over the seeds.
    pub accuracy: f64,
    /// Deviation of that share over the seeds, divisor n - 1.
    pub deviation: f64,
    /// Minutes of one training; the recipe says whether other work shared the machine.
    pub minutes: f64,
    /// Megabytes (10^6 bytes) that one training sends and receives, mean over the seeds.
    pub megabytes: f64,
}

impl Recipe {
    /// The built-in recipe of that name, else the one in that file.
    ///
    /// # Errors
    /// [`RecipeError`] if there is neither, or the recipe is wrong.
    pub fn load(name: &str) -> Result<Self, RecipeError> {
        if let Some(recipe) = Self::builtin(name)? {
            return Ok(recipe);
        }
        let path = Path::new(name);
        if !path.is_file() {
            let known = Self::builtin_names().collect();
            return Err(RecipeError::Unknown { got: name.to_owned(), known });
        }
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::File { path: path.to_owned(), source })?;
        let directory = path.parent().map(Path::to_owned);
        Ok(Self { directory, ..Self::parse(name, &text)? })
    }

    /// A recipe from its text; `origin` is what errors call it. Files named by it are relative to
    /// the working directory.
    ///
    /// # Errors
    /// [`RecipeError::Toml`], [`RecipeError::Value`], [`RecipeError::Domain`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text).map_err(|source| RecipeError::Toml {
            recipe: origin.to_owned(),
            source: Box::new(source),
        })?;
        recipe.check(origin)?;
        Ok(recipe)
    }

    /// The recipe as TOML that [`Recipe::parse`] reads.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The network, checked.
    ///
    /// # Errors
    /// [`RecipeError::UnknownNetwork`], [`RecipeError::File`], [`RecipeError::Network`].
    pub fn spec(&self) -> Result<NetworkSpec, RecipeError> {
        if let Some(spec) = NetworkSpec::builtin(&self.network) {
            return Ok(spec);
        }
        let path = self.directory.as_deref().unwrap_or(Path::new("")).join(&self.network);
        if !path.is_file() {
            return Err(RecipeError::UnknownNetwork {
                recipe: self.name.clone(),
                got: self.network.clone(),
                known: NetworkSpec::builtin_names().collect(),
            });
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|source| RecipeError::File { path: path.clone(), source })?;
        let wrong = |source| RecipeError::Network {
            recipe: self.name.clone(),
            network: path.display().to_string(),
            source: Box::new(source),
        };
        let spec = NetworkSpec::from_toml(&text).map_err(wrong)?;
        Plan::new(&spec).map_err(wrong)?;
        Ok(spec)
    }

    /// δ, if there is a budget.
    ///
    /// # Errors
    /// [`RecipeError::Domain`] unless 0 < δ < 1; [`Recipe::parse`] has refused that before.
    pub fn delta(&self) -> Result<Option<Delta>, RecipeError> {
        match self.privacy {
            RecipePrivacy::None => Ok(None),
            RecipePrivacy::Budget { delta, .. } => {
                let wrong = |error| self.domain("privacy.budget", error);
                Ok(Some(Delta::new(delta).map_err(wrong)?))
            }
        }
    }

    /// The training that the recipe describes.
    ///
    /// # Errors
    /// [`RecipeError::Domain`]; [`Recipe::parse`] has refused such a recipe before.
    pub fn options(&self) -> Result<TrainingOptions, RecipeError> {
        let training = self.training;
        Ok(TrainingOptions {
            epochs: training.epochs,
            blocks: training.blocks,
            batch: training.batch,
            optimizer: training.optimizer,
            learning_rate: training.learning_rate,
            decay: training.decay,
            warmup: training.warmup,
            averaging: training.averaging,
            augmentation: training
                .augment
                .zip(training.shift)
                .map(|(copies, shift)| Augmentation { copies, shift }),
            persons: None,
            privacy: self.privacy()?,
        })
    }

    fn privacy(&self) -> Result<Privacy, RecipeError> {
        let RecipePrivacy::Budget { epsilon, clipping_norm, .. } = self.privacy else {
            return Ok(Privacy::None);
        };
        let Some(delta) = self.delta()? else { return Ok(Privacy::None) };
        let wrong = |error| self.domain("privacy.budget", error);
        Ok(Privacy::Budget { target: Target::new(epsilon, delta).map_err(wrong)?, clipping_norm })
    }
}
