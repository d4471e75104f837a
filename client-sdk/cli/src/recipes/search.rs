//! `sphinx recipes search`: hyper-parameters chosen on a part of the training images, in the clear.

mod accounted;
mod grid;
mod ground;

use std::time::Instant;

use clap::Args;
use serde::Serialize;
use sphinx_client::data::Dataset;
use sphinx_client::recipe::Recipe;
use sphinx_client::secure_rng;

use crate::data::{DataArgs, first};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::numbers::percent;
use crate::output::{Output, table};
use accounted::Budget;
use grid::{Grid, Varied};
use ground::Ground;

/// Try the settings of a grid on a part of the training images, in the clear
///
/// Trains on the others with the same loop and the same noise as under encryption, and without
/// services. The test images are not looked at: what is chosen by them would no longer be tested by
/// them. Epsilon of what is trained in the end does not include the search, unless it is asked for
/// by --epsilon-in-all: use that where the images are private, or search on public ones.
#[derive(Debug, Args)]
pub struct Search {
    /// The recipe to start from: a built-in one or a TOML file
    #[arg(value_name = "NAME|FILE")]
    recipe: String,
    /// A value of the recipe's file and what to try for it, as in training.learning_rate=4,6,8; the
    /// grid is that of all combinations
    #[arg(long = "vary", value_name = "KEY=A,B,...", required = true)]
    vary: Vec<Varied>,
    /// The last N training images are kept to validate with [default: a sixth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    validation: Option<u32>,
    /// Only the first N of the recipe's seeds
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// The first N training images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Plan trainings such that the search and one training afterwards, on all of the images, spend
    /// no more than this together: a random number of settings is tried, each drawn at random, and
    /// the best alone is told
    #[arg(
        long,
        value_name = "EPSILON",
        conflicts_with = "seeds",
        help_heading = "Accounting for the search"
    )]
    epsilon_in_all: Option<f64>,
    /// Trainings on the average: the more, the less epsilon is left to each
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        requires = "epsilon_in_all",
        help_heading = "Accounting for the search"
    )]
    trials: f64,
    #[command(flatten)]
    data: DataArgs,
}

/// What came of the settings, best first.
#[derive(Debug, Serialize)]
struct Found {
    recipe: String,
    /// Images trained on, and images that accuracies are of.
    trained: usize,
    validated: usize,
    settings: Vec<Setting>,
    interrupted: bool,
}

#[derive(Debug, Serialize)]
struct Setting {
    /// What was varied.
    values: Vec<(String, String)>,
    /// Mean over the seeds, and deviation (divisor n − 1).
    accuracy: f64,
    deviation: f64,
    seeds: usize,
    /// ε of one such training; `None` without differential privacy.
    epsilon: Option<f64>,
    noise_multiplier: Option<f64>,
    steps: u64,
    seconds: f64,
}

impl Search {
    pub fn run(&self, output: Output, interrupt: &Interrupt) -> Result<(), CliError> {
        let recipe = Recipe::load(&self.recipe)?;
        self.data.check(&recipe)?;
        let grid = Grid::new(&recipe, &self.vary)?;
        let limit = self.limit.map(|limit| limit as usize);
        let (train, validation) = self.split(first(self.data.load()?.train, limit))?;
        let (trained, validated) = (train.len(), validation.len());
        let count = grid.recipes.len();
        let images = format!("trained on {trained} images, validated on {validated}");
        if let Some(epsilon) = self.epsilon_in_all {
            let budget = Budget::new(epsilon, self.trials, &grid, (trained, validated))?;
            let ground = Ground::new(recipe.spec()?, &train, &validation)?;
            output.note(&format!("settings drawn from {count}, {images}"))?;
            let chosen =
                budget.search(recipe.name, &grid, &ground, interrupt, &mut secure_rng())?;
            return output.result(&chosen, || chosen.text());
        }
        // What cannot be planned shows before anything is trained.
        for (recipe, _) in &grid.recipes {
            recipe.options()?.resolve(trained)?;
        }
        let of = recipe.seeds.len().min(self.seeds as usize);
        output.note(&format!("{count} settings of {of} seeds each, {images}"))?;
        let ground = Ground::new(recipe.spec()?, &train, &validation)?;
        let mut found = Found {
            recipe: recipe.name,
            trained,
            validated,
            settings: Vec::new(),
            interrupted: false,
        };
        for (recipe, values) in grid.recipes {
            match self.setting(&recipe, values, &ground, interrupt)? {
                Some(setting) => {
                    output.note(&setting.line())?;
                    found.settings.push(setting);
                }
                None => {
                    found.interrupted = true;
                    break;
                }
            }
        }
        found.settings.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
        output.result(&found, || found.text())?;
        if found.interrupted { Err(CliError::Interrupted) } else { Ok(()) }
    }

    /// The images to train on and those to validate with.
    fn split(&self, data: Dataset) -> Result<(Dataset, Dataset), CliError> {
        let kept = self.validation.map_or(data.len() / 6, |kept| kept as usize);
        if kept == 0 || kept >= data.len() {
            let images = data.len();
            let text = format!("--validation {kept}: there are {images} training images in all");
            return Err(CliError::Usage(text));
        }
        let from = data.len() - kept;
        let validation = data.select(&(from..data.len()).collect::<Vec<_>>())?;
        Ok((first(data, Some(from)), validation))
    }

    /// Trains a setting with every seed; `None` if the user wants it no more.
    fn setting(
        &self,
        recipe: &Recipe,
        values: Vec<(String, String)>,
        ground: &Ground<'_>,
        interrupt: &Interrupt,
    ) -> Result<Option<Setting>, CliError> {
        let started = Instant::now();
        let planned = recipe.options()?.resolve(ground.trained())?;
        let mut accuracies = Vec::new();
        for &seed in recipe.seeds.iter().take(self.seeds as usize) {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            let Some(correct) = ground.recognised(recipe, seed, bytes, interrupt)? else {
                return Ok(None);
            };
            accuracies.push(correct as f64 / ground.validated() as f64);
        }
        let seeds = accuracies.len();
        let accuracy = accuracies.iter().sum::<f64>() / seeds as f64;
        let squares: f64 = accuracies.iter().map(|one| (one - accuracy).powi(2)).sum();
        Ok(Some(Setting {
            values,
            accuracy,
            deviation: (squares / (seeds as f64 - 1.0).max(1.0)).sqrt(),
            seeds,
            epsilon: planned.epsilon.map(|epsilon| epsilon.proven()),
            noise_multiplier: planned.noise_multiplier(),
            steps: planned.steps,
            seconds: started.elapsed().as_secs_f64(),
        }))
    }
}

impl Setting {
    fn line(&self) -> String {
        let values = self.values.iter().map(|(key, value)| format!("{key}={value}"));
        let values = values.collect::<Vec<_>>().join(" ");
        format!("{values}  {} in {:.0} s", percent(self.accuracy), self.seconds)
    }
}

impl Found {
    fn text(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |v| format!("{v:.3}"));
        let rows = self.settings.iter().map(|setting| {
            let values = setting.values.iter().map(|(key, value)| format!("{key}={value}"));
            [
                values.collect::<Vec<_>>().join(" "),
                format!("{} ± {:.2}", percent(setting.accuracy), 100.0 * setting.deviation),
                number(setting.epsilon),
                number(setting.noise_multiplier),
                setting.steps.to_string(),
            ]
        });
        let header = ["SETTING", "VALIDATION", "EPSILON", "NOISE MULTIPLIER", "STEPS"];
        format!(
            "\n{}\n\nepsilon is that of one training; it does not include the search",
            table(header, rows)
        )
    }
}
