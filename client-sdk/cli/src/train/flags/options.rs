//! Flags laid over a recipe, or over the command's defaults.

use sphinx_client::{Augmentation, Privacy, TrainingOptions};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, PlanError, Target};

use super::{DecayKind, OptimizerKind, PrivacyKind, Switch, TrainingFlags};
use crate::defaults;
use crate::error::CliError;

/// What options stand on besides flags and recipe.
pub struct Setting {
    /// Passes over the data if neither flags nor recipe say how many.
    pub epochs: f64,
    /// δ of the budget.
    pub delta: Delta,
    /// Examples of the training set, once they are known.
    pub examples: Option<usize>,
    /// ε that the model was last trained within: only a flag raises it.
    pub budget: Option<f64>,
}

impl TrainingFlags {
    /// The options: flags before the recipe before the defaults. Learning rate and warm-up of a
    /// recipe stand for its own update rule on gradients like its own, noised or exact.
    pub fn over(
        &self,
        recipe: Option<&TrainingOptions>,
        setting: &Setting,
    ) -> Result<TrainingOptions, CliError> {
        let privacy = self.privacy(recipe.map(|recipe| recipe.privacy), setting)?;
        let private = privacy != Privacy::None;
        let kind = self
            .optimizer
            .or(recipe.map(|recipe| kind_of(recipe.optimizer)))
            .unwrap_or(if private { OptimizerKind::Sgd } else { OptimizerKind::Adam });
        let tuned = recipe.filter(|recipe| {
            kind_of(recipe.optimizer) == kind && (recipe.privacy != Privacy::None) == private
        });
        let warmup = self.warmup.or(tuned.map(|recipe| recipe.warmup));
        let mut options = TrainingOptions {
            epochs: self.epochs.or(recipe.map(|recipe| recipe.epochs)).unwrap_or(setting.epochs),
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
            warmup: warmup.unwrap_or(0),
            averaging: self.averaging.or(recipe.and_then(|recipe| recipe.averaging)),
            augmentation: self.augmentation(recipe.and_then(|recipe| recipe.augmentation))?,
            persons: None,
            privacy,
        };
        let usual = match kind {
            OptimizerKind::Sgd => defaults::SGD_WARMUP,
            OptimizerKind::Adam => defaults::ADAM_WARMUP,
        };
        if warmup.is_none() && usual > 0 {
            // A short training is warmed up for as long as leaves it a step at the peak.
            options.warmup = match setting.examples {
                Some(examples) => usual.min(options.resolve(examples)?.steps.saturating_sub(1)),
                None => usual,
            };
        }
        Ok(options)
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
        let (kind, floor) = match recipe.unwrap_or(defaults::DECAY) {
            Decay::Constant => (DecayKind::Constant, defaults::DECAY_FLOOR),
            Decay::Linear { floor } => (DecayKind::Linear, floor),
            Decay::Cosine { floor } => (DecayKind::Cosine, floor),
        };
        let floor = self.decay_floor.unwrap_or(floor);
        match self.decay.unwrap_or(kind) {
            DecayKind::Constant => Decay::Constant,
            DecayKind::Linear => Decay::Linear { floor },
            DecayKind::Cosine => Decay::Cosine { floor },
        }
    }

    fn privacy(&self, recipe: Option<Privacy>, setting: &Setting) -> Result<Privacy, CliError> {
        let kind = self.privacy.unwrap_or(match recipe {
            Some(Privacy::None) => PrivacyKind::None,
            Some(Privacy::Budget { .. } | Privacy::ExactBiases { .. }) | None => PrivacyKind::Dp,
        });
        match kind {
            PrivacyKind::Dp => {
                let (recipe, clipping_norm) = match recipe {
                    Some(
                        Privacy::Budget { target, clipping_norm }
                        | Privacy::ExactBiases { target, clipping_norm },
                    ) => (Some(target.epsilon()), clipping_norm),
                    Some(Privacy::None) | None => (None, defaults::CLIPPING_NORM),
                };
                let least = [recipe, setting.budget].into_iter().flatten().reduce(f64::min);
                let epsilon = self.epsilon.or(least).unwrap_or(defaults::EPSILON);
                let target = Target::new(epsilon, setting.delta).map_err(PlanError::from)?;
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
        options: TrainingFlags,
    }

    fn setting() -> Setting {
        let delta = Delta::new(1e-5).unwrap();
        Setting { epochs: 7.0, delta, examples: None, budget: None }
    }

    fn over(recipe: Option<&TrainingOptions>, flags: &[&str]) -> TrainingOptions {
        over_in(&setting(), recipe, flags)
    }

    fn over_in(
        setting: &Setting,
        recipe: Option<&TrainingOptions>,
        flags: &[&str],
    ) -> TrainingOptions {
        let command = Command::parse_from([&["train"], flags].concat());
        command.options.over(recipe, setting).unwrap()
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
            persons: None,
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
            let options = command.options.over(None, &setting());
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
    fn only_a_flag_raises_the_budget_of_a_model() {
        let recipe = recipe();
        let epsilon = |budget, recipe, flags: &[&str]| {
            let setting = Setting { budget, ..setting() };
            match over_in(&setting, recipe, flags).privacy {
                Privacy::Budget { target, .. } | Privacy::ExactBiases { target, .. } => {
                    target.epsilon()
                }
                Privacy::None => panic!("no budget"),
            }
        };
        assert_eq!(epsilon(None, None, &[]), defaults::EPSILON);
        for (budget, followed, expected) in [
            (1.0, None, 1.0),
            (8.0, None, 8.0),
            (1.0, Some(&recipe), 1.0),
            (8.0, Some(&recipe), 2.0),
        ] {
            assert_eq!(epsilon(Some(budget), followed, &[]), expected);
            assert_eq!(epsilon(Some(budget), followed, &["--epsilon", "5"]), 5.0);
        }
    }

    #[test]
    fn the_default_warmup_leaves_short_trainings_a_step() {
        let warmup = |flags: &[&str]| {
            let setting = Setting { examples: Some(10_000), ..setting() };
            let flags = [&["--privacy", "none", "--batch", "1000"], flags].concat();
            over_in(&setting, None, &flags).warmup
        };
        assert_eq!([warmup(&["--epochs", "3"]), warmup(&["--epochs", "1"])], [20, 9]);
        assert_eq!(warmup(&["--epochs", "0.1"]), 0);
        // What was asked for stands, to be refused.
        assert_eq!(warmup(&["--epochs", "1", "--warmup", "15"]), 15);
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
