//! Flags laid over a recipe, or over the command's defaults.

use sphinx_client::{Augmentation, Privacy, TrainingOptions};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, PlanError, Target};

use super::{DecayKind, OptimizerKind, PrivacyKind, RecipeArgs, Switch};
use crate::defaults;
use crate::error::CliError;

impl RecipeArgs {
    /// The options at a given δ; `epochs` unless the flags say how many.
    pub fn options(&self, epochs: f64, delta: Delta) -> Result<TrainingOptions, CliError> {
        self.over(None, epochs, delta)
    }

    /// The options at a given δ: flags before the recipe before the defaults. Learning rate and warm-up of a recipe stand
    /// for its own update rule on gradients like its own, noised or exact.
    pub fn over(
        &self,
        recipe: Option<&TrainingOptions>,
        epochs: f64,
        delta: Delta,
    ) -> Result<TrainingOptions, CliError> {
        let privacy = self.privacy(recipe.map(|recipe| recipe.privacy), delta)?;
        let private = privacy != Privacy::None;
        let kind = self
            .optimizer
            .or(recipe.map(|recipe| kind_of(recipe.optimizer)))
            .unwrap_or(if private { OptimizerKind::Sgd } else { OptimizerKind::Adam });
        let tuned = recipe.filter(|recipe| {
            kind_of(recipe.optimizer) == kind && (recipe.privacy != Privacy::None) == private
        });
        Ok(TrainingOptions {
            epochs: self.epochs.or(recipe.map(|recipe| recipe.epochs)).unwrap_or(epochs),
            blocks: self.blocks.or(recipe.map(|recipe| recipe.blocks)).unwrap_or(defaults::BLOCKS),
            batch: self.batch.or(recipe.and_then(|recipe| recipe.batch)),
            optimizer: self.optimizer(kind, recipe.map(|recipe| recipe.optimizer))?,
            learning_rate: self.lr.or(tuned.map(|recipe| recipe.learning_rate)).unwrap_or(
                match (kind, private) {
                    (OptimizerKind::Sgd, true) => defaults::SGD_PRIVATE_RATE,
                    (OptimizerKind::Sgd, false) => defaults::SGD_EXACT_RATE,
                    (OptimizerKind::Adam, _) => defaults::ADAM_RATE,
                },
            ),
            decay: self.decay(recipe.map(|recipe| recipe.decay)),
            warmup: self.warmup.or(tuned.map(|recipe| recipe.warmup)).unwrap_or(match kind {
                OptimizerKind::Sgd => defaults::SGD_WARMUP,
                OptimizerKind::Adam => defaults::ADAM_WARMUP,
            }),
            averaging: self.averaging.or(recipe.and_then(|recipe| recipe.averaging)),
            augmentation: self.augmentation(recipe.and_then(|recipe| recipe.augmentation))?,
            privacy,
        })
    }

    fn optimizer(
        &self,
        kind: OptimizerKind,
        recipe: Option<OptimizerSpec>,
    ) -> Result<OptimizerSpec, CliError> {
        match (kind, recipe) {
            (OptimizerKind::Sgd, recipe) => {
                let (momentum, nesterov) = match recipe {
                    Some(OptimizerSpec::Sgd { momentum, nesterov }) => (momentum, nesterov),
                    Some(OptimizerSpec::Adam { .. }) | None => (defaults::SGD_MOMENTUM, false),
                };
                let momentum = self.momentum.unwrap_or(momentum);
                Ok(OptimizerSpec::Sgd { momentum, nesterov: nesterov || self.nesterov })
            }
            (OptimizerKind::Adam, _) if self.momentum.is_some() || self.nesterov => {
                Err(CliError::Usage("--momentum and --nesterov are for --optimizer sgd".to_owned()))
            }
            (OptimizerKind::Adam, Some(adam @ OptimizerSpec::Adam { .. })) => Ok(adam),
            (OptimizerKind::Adam, Some(OptimizerSpec::Sgd { .. }) | None) => Ok(defaults::ADAM),
        }
    }

    fn augmentation(&self, recipe: Option<Augmentation>) -> Result<Option<Augmentation>, CliError> {
        match self.augment.or(recipe.map(|recipe| recipe.copies)) {
            None | Some(1) if self.shift.is_some() => Err(CliError::Usage(
                "--shift moves the copies of --augment: say how many, or leave it out".to_owned(),
            )),
            None | Some(1) => Ok(None),
            Some(copies) => {
                let shift = self.shift.or(recipe.map(|recipe| recipe.shift));
                Ok(Some(Augmentation { copies, shift: shift.unwrap_or(defaults::SHIFT) }))
            }
        }
    }

    fn decay(&self, recipe: Option<Decay>) -> Decay {
        let (kind, floor) = match recipe {
            None => (defaults::DECAY, defaults::DECAY_FLOOR),
            Some(Decay::Constant) => (DecayKind::Constant, defaults::DECAY_FLOOR),
            Some(Decay::Linear { floor }) => (DecayKind::Linear, floor),
            Some(Decay::Cosine { floor }) => (DecayKind::Cosine, floor),
        };
        let floor = self.decay_floor.unwrap_or(floor);
        match self.decay.unwrap_or(kind) {
            DecayKind::Constant => Decay::Constant,
            DecayKind::Linear => Decay::Linear { floor },
            DecayKind::Cosine => Decay::Cosine { floor },
        }
    }

    fn privacy(&self, recipe: Option<Privacy>, delta: Delta) -> Result<Privacy, CliError> {
        let kind = self.privacy.unwrap_or(match recipe {
            Some(Privacy::None) => PrivacyKind::None,
            Some(Privacy::Budget { .. } | Privacy::ExactBiases { .. }) | None => PrivacyKind::Dp,
        });
        match kind {
            PrivacyKind::Dp => {
                let (epsilon, clipping_norm) = match recipe {
                    Some(
                        Privacy::Budget { target, clipping_norm }
                        | Privacy::ExactBiases { target, clipping_norm },
                    ) => (target.epsilon(), clipping_norm),
                    Some(Privacy::None) | None => (defaults::EPSILON, defaults::CLIPPING_NORM),
                };
                let epsilon = self.epsilon.unwrap_or(epsilon);
                let target = Target::new(epsilon, delta).map_err(PlanError::from)?;
                let clipping_norm = self.clip.unwrap_or(clipping_norm);
                Ok(match self.bias_noise.unwrap_or(Switch::On) {
                    Switch::On => Privacy::Budget { target, clipping_norm },
                    Switch::Off => Privacy::ExactBiases { target, clipping_norm },
                })
            }
            PrivacyKind::None
                if self.epsilon.is_some()
                    || self.clip.is_some()
                    || self.bias_noise == Some(Switch::Off) =>
            {
                let who = match self.privacy {
                    Some(_) => "--privacy none adds no noise: ",
                    None => "the recipe adds no noise: say --privacy dp, or ",
                };
                let message = format!("{who}leave --epsilon, --clip and --bias-noise out");
                Err(CliError::Usage(message))
            }
            PrivacyKind::None => Ok(Privacy::None),
        }
    }
}

fn kind_of(optimizer: OptimizerSpec) -> OptimizerKind {
    match optimizer {
        OptimizerSpec::Sgd { .. } => OptimizerKind::Sgd,
        OptimizerSpec::Adam { .. } => OptimizerKind::Adam,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: RecipeArgs,
    }

    fn over(recipe: Option<&TrainingOptions>, flags: &[&str]) -> TrainingOptions {
        let command = Command::parse_from([&["train"], flags].concat());
        command.options.over(recipe, 7.0, Delta::new(1e-5).unwrap()).unwrap()
    }

    fn recipe() -> TrainingOptions {
        TrainingOptions {
            epochs: 20.0,
            blocks: 2,
            batch: Some(3000),
            optimizer: OptimizerSpec::Sgd { momentum: 0.8, nesterov: true },
            learning_rate: 11.0,
            decay: Decay::Linear { floor: 0.25 },
            warmup: 9,
            averaging: Some(0.99),
            augmentation: Some(Augmentation { copies: 8, shift: 2 }),
            privacy: Privacy::Budget {
                target: Target::new(2.0, Delta::new(1e-5).unwrap()).unwrap(),
                clipping_norm: 0.5,
            },
        }
    }

    #[test]
    fn a_recipe_stands_unless_flags_say_otherwise() {
        let recipe = recipe();
        assert_eq!(over(Some(&recipe), &[]), recipe);
        assert_eq!(
            over(
                Some(&recipe),
                &["--epochs", "3", "--lr", "5", "--clip", "0.2", "--decay-floor", "0"]
            ),
            TrainingOptions {
                epochs: 3.0,
                learning_rate: 5.0,
                decay: Decay::Linear { floor: 0.0 },
                privacy: Privacy::Budget {
                    target: Target::new(2.0, Delta::new(1e-5).unwrap()).unwrap(),
                    clipping_norm: 0.2
                },
                ..recipe.clone()
            }
        );
        let exact = over(Some(&recipe), &["--bias-noise", "off"]);
        assert!(matches!(exact.privacy, Privacy::ExactBiases { clipping_norm: 0.5, .. }));
    }

    #[test]
    fn copies_are_overridden_one_by_one() {
        let recipe = recipe();
        let copies = |recipe, flags: &[&str]| {
            over(recipe, flags).augmentation.map(|Augmentation { copies, shift }| (copies, shift))
        };
        assert_eq!(copies(Some(&recipe), &["--augment", "4"]), Some((4, 2)));
        assert_eq!(copies(Some(&recipe), &["--shift", "3"]), Some((8, 3)));
        assert_eq!(copies(Some(&recipe), &["--augment", "1"]), None);
        assert_eq!(copies(None, &["--augment", "16"]), Some((16, defaults::SHIFT)));
        assert_eq!(copies(None, &["--augment", "2", "--shift", "4"]), Some((2, 4)));
    }

    #[test]
    fn rejects_shifts_without_copies() {
        for flags in [&["--shift", "1"][..], &["--shift", "1", "--augment", "1"]] {
            let command = Command::parse_from([&["train"], flags].concat());
            let options = command.options.over(None, 7.0, Delta::new(1e-5).unwrap());
            assert!(matches!(options, Err(CliError::Usage(_))), "{flags:?}");
        }
    }

    #[test]
    fn rates_go_with_their_rule_and_their_noise() {
        let recipe = recipe();
        let adam = over(Some(&recipe), &["--optimizer", "adam"]);
        assert_eq!((adam.optimizer, adam.learning_rate, adam.warmup), (defaults::ADAM, 0.02, 20));
        let exact = over(Some(&recipe), &["--privacy", "none"]);
        assert_eq!((exact.optimizer, exact.learning_rate), (recipe.optimizer, 0.1));
        assert_eq!((exact.epochs, exact.privacy), (20.0, Privacy::None));
    }

    #[test]
    fn defaults_stand_without_a_recipe() {
        let options = over(None, &[]);
        assert_eq!((options.epochs, options.blocks, options.batch), (7.0, 1, None));
        assert_eq!(options.learning_rate, defaults::SGD_PRIVATE_RATE);
        assert_eq!(options.decay, Decay::Cosine { floor: 0.05 });
        assert_eq!(over(None, &["--privacy", "none"]).optimizer, defaults::ADAM);
    }
}
