//! `sphinx recipes run`: makes the published figures.

use std::sync::Arc;

use clap::Args;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::recipe::Recipe;
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;

use super::outcome::{FailedSeed, Outcome, SeedRun};
use crate::data::{DataArgs, first};
use crate::error::{CliError, note};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::promise::Promise;
use crate::train::flags::{EXPOSURE, default_delta};
use crate::trial::Trial;

/// Train and test a recipe with each of its seeds, on services of its own
///
/// Every seed has services, a secret key, a model and a privacy ledger of its own, all gone when it
/// is done. A seed that fails is reported, the others go on, and the command ends with code 1.
/// Ctrl-C ends the seed at hand after its step and sums up those that were done; a second one stops
/// at once.
#[derive(Debug, Args)]
pub struct Run {
    /// A built-in recipe or a TOML file
    #[arg(value_name = "NAME|FILE")]
    recipe: String,
    /// Only the first N of the recipe's seeds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
    /// Train and test with the first N images only; the result is then no published one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Show the services' logs
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// What all seeds have in common.
struct Material {
    recipe: Recipe,
    spec: NetworkSpec,
    train: Arc<Dataset>,
    test: Dataset,
    delta: Delta,
}

impl Run {
    pub async fn run(&self, output: Output, interrupt: &Interrupt) -> Result<(), CliError> {
        let recipe = Recipe::load(&self.recipe)?;
        self.data.check(&recipe)?;
        let seeds = self.seeds(&recipe)?;
        let spec = recipe.spec()?;
        let TrainTest { train, test } = self.data.load()?;
        let limit = self.limit.map(|limit| limit as usize);
        let (train, test) = (Arc::new(first(train, limit)), first(test, limit));
        let options = recipe.options()?;
        // What cannot be planned shows before anything is started.
        let promise = Promise::new(&recipe.name, &options, recipe.published, train.len())?;
        output.note(&promise.text())?;
        let budget = recipe.delta()?;
        if budget.is_none() {
            note(&format!("{EXPOSURE}\n"));
        }
        let mut outcome = Outcome::new(&recipe, budget, train.len(), test.len());
        let delta = budget.map_or_else(default_delta, Ok)?;
        let material = Material { recipe, spec, train, test, delta };
        for (index, &seed) in seeds.iter().enumerate() {
            output.note(&format!("\nseed {seed} ({} of {})", index + 1, seeds.len()))?;
            match self.trial(&material, seed, output, interrupt).await {
                Ok(run) => {
                    output.note(&run.text())?;
                    outcome.runs.push(run);
                }
                Err(CliError::Interrupted) => {
                    outcome.interrupted = true;
                    break;
                }
                // Nobody reads: there is nothing to go on for.
                Err(error @ CliError::Output(_)) => return Err(error),
                Err(error) => {
                    let error = error.to_string();
                    note(&format!("sphinx: seed {seed} failed: {error}"));
                    outcome.failed.push(FailedSeed { seed, error });
                }
            }
            if interrupt.asked() {
                outcome.interrupted = index + 1 < seeds.len();
                break;
            }
        }
        outcome.finish();
        output.result(&outcome, || outcome.text())?;
        if outcome.interrupted {
            return Err(CliError::Interrupted);
        }
        match outcome.failed.len() {
            0 => Ok(()),
            failed => Err(CliError::SeedsFailed { failed, of: seeds.len() }),
        }
    }

    fn seeds(&self, recipe: &Recipe) -> Result<Vec<u64>, CliError> {
        let has = recipe.seeds.len();
        match self.seeds.map(|count| count as usize) {
            None => Ok(recipe.seeds.clone()),
            Some(count) if count <= has => Ok(recipe.seeds[..count].to_vec()),
            Some(count) => {
                let name = &recipe.name;
                Err(CliError::Usage(format!("--seeds {count}: recipe {name} has {has} seeds")))
            }
        }
    }

    async fn trial(
        &self,
        material: &Material,
        seed: u64,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<SeedRun, CliError> {
        let trial = Trial {
            name: &material.recipe.name,
            spec: &material.spec,
            train: &material.train,
            test: &material.test,
            options: material.recipe.options()?,
            delta: material.delta,
            seed,
            verbose: self.verbose,
        };
        let (trained, evaluation) = trial.run(output, interrupt).await?;
        Ok(SeedRun::new(seed, &trained, &evaluation))
    }
}
