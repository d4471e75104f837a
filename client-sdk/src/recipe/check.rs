//! Whether a recipe's values make sense, before anything is started.

use std::fmt::Display;

use sphinx_optimizer::{Schedule, WeightAverage};
use sphinx_proto::ModelId;

use super::{Published, Recipe, RecipeError, RecipePrivacy};
use crate::{Augmentation, AugmentationError};

impl Recipe {
    /// Refuses values outside their domains.
    pub(super) fn check(&self, origin: &str) -> Result<(), RecipeError> {
        if let Err(error) = ModelId::parse(self.name.as_str()) {
            // A wrong name is no name to call the recipe by.
            let (recipe, reason) = (origin.to_owned(), error.to_string());
            return Err(RecipeError::Domain { recipe, field: "name", reason });
        }
        self.check_head()?;
        self.check_privacy()?;
        self.check_training()?;
        self.check_augmentation()?;
        self.published.map_or(Ok(()), |published| self.check_published(published))
    }

    fn check_head(&self) -> Result<(), RecipeError> {
        let one_line = !self.description.trim().is_empty() && self.description.lines().count() == 1;
        self.require(one_line, "description", &self.description, "one line of text")?;
        self.require(!self.network.is_empty(), "network", "empty", "a name or a file")?;
        let named = self.data.as_ref().is_none_or(|data| !data.trim().is_empty());
        self.require(named, "data", "empty", "the name of a data set")?;
        self.require(!self.seeds.is_empty(), "seeds", "empty", "at least one seed")?;
        let repeated = self.seeds.iter().enumerate().find(|(i, s)| self.seeds[..*i].contains(s));
        match repeated {
            Some((_, seed)) => {
                Err(self.value("seeds", format_args!("{seed} twice"), "different seeds"))
            }
            None => Ok(()),
        }
    }

    fn check_privacy(&self) -> Result<(), RecipeError> {
        if let RecipePrivacy::Budget { clipping_norm, .. } = self.privacy {
            let (field, norm) = ("privacy.budget.clipping_norm", f64::from(clipping_norm));
            self.require(positive(norm), field, clipping_norm, POSITIVE)?;
        }
        self.options().map(|_| ())
    }

    fn check_training(&self) -> Result<(), RecipeError> {
        let training = &self.training;
        self.require(positive(training.epochs), "training.epochs", training.epochs, POSITIVE)?;
        self.require(training.blocks > 0, "training.blocks", training.blocks, "at least 1")?;
        self.require(training.batch != Some(0), "training.batch", 0, "at least 1")?;
        let optimizer = training.optimizer.validate();
        optimizer.map_err(|error| self.domain("training.optimizer", error))?;
        let schedule = Schedule {
            peak: training.learning_rate,
            decay: training.decay,
            warmup: training.warmup,
            // How many steps there are depends on the data: the training is refused if they are too
            // few.
            total: MOST_STEPS,
        };
        schedule.validate().map_err(|error| self.domain("training", error))?;
        training.averaging.map_or(Ok(()), |decay| {
            WeightAverage::new(decay, &[])
                .map(|_| ())
                .map_err(|error| self.domain("training.averaging", error))
        })
    }

    fn check_augmentation(&self) -> Result<(), RecipeError> {
        match (self.training.augment, self.training.shift) {
            (None, None) => Ok(()),
            (None, Some(shift)) => {
                Err(self.value("training.shift", shift, "none without training.augment"))
            }
            (Some(_), None) => {
                let expected = "1 to 4 beside training.augment";
                Err(self.value("training.shift", "absent", expected))
            }
            (Some(copies), Some(shift)) => {
                let checked = Augmentation { copies, shift }.validate();
                checked.map_err(|error| {
                    let field = match error {
                        AugmentationError::Copies { .. } => "training.augment",
                        AugmentationError::Shift { .. } => "training.shift",
                    };
                    self.domain(field, error)
                })
            }
        }
    }

    fn check_published(&self, published: Published) -> Result<(), RecipeError> {
        let Published { accuracy, deviation, minutes, megabytes } = published;
        let share = (0.0..=1.0).contains(&accuracy);
        self.require(share, "published.accuracy", accuracy, "a share from 0 to 1")?;
        let share = (0.0..=1.0).contains(&deviation);
        self.require(share, "published.deviation", deviation, "a share from 0 to 1")?;
        self.require(positive(minutes), "published.minutes", minutes, POSITIVE)?;
        self.require(positive(megabytes), "published.megabytes", megabytes, POSITIVE)
    }

    fn require(
        &self,
        holds: bool,
        field: &'static str,
        got: impl Display,
        expected: &str,
    ) -> Result<(), RecipeError> {
        if holds { Ok(()) } else { Err(self.value(field, got, expected)) }
    }

    /// A value refused by what it configures.
    pub(super) fn domain(&self, field: &'static str, error: impl Display) -> RecipeError {
        RecipeError::Domain { recipe: self.name.clone(), field, reason: error.to_string() }
    }

    /// A field with a value it may not have.
    fn value(&self, field: &'static str, got: impl Display, expected: &str) -> RecipeError {
        let (recipe, got) = (self.name.clone(), got.to_string());
        RecipeError::Value { recipe, field, got, expected: expected.to_owned() }
    }
}

/// More steps than any training makes.
const MOST_STEPS: u64 = 1 << 40;

const POSITIVE: &str = "a finite number above 0";

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}
