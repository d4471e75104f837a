//! `sphinx demo`: trains and tests a network on this machine, services, keys and all, or on
//! services that run.

mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use rand::RngExt;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::secure_rng;
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;

use crate::config::Config;
use crate::data::{DataArgs, first};
use crate::error::{CliError, note};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::report::write_report;
use crate::train::flags::{Setting, TrainingFlags, default_delta, warning};
use crate::trial::Trial;
use crate::{defaults, network};

/// Train and test a network on this machine: services, keys and all
#[derive(Debug, Args)]
pub struct Demo {
    /// A built-in network or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = defaults::NETWORK)]
    network: String,
    /// Write report.json and plots to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Train and test with the first N images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Show the services' logs
    #[arg(long)]
    verbose: bool,
    /// Use the services that the configuration names, instead of starting some; the demo's model
    /// there is deleted in the end, and its key revoked
    #[arg(long, conflicts_with = "verbose")]
    remote: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    recipe: TrainingFlags,
}

/// What the demo works on.
struct Material {
    spec: NetworkSpec,
    train: Arc<Dataset>,
    test: Dataset,
    delta: Delta,
}

impl Demo {
    pub async fn run(
        &self,
        config: &Config,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        let started = Instant::now();
        let delta = self.recipe.delta().map_or_else(default_delta, Ok)?;
        let spec = network::load(&self.network)?;
        // Wrong options show before anything is started.
        let (epochs, budget) = (defaults::DEMO_EPOCHS, None);
        let setting = Setting { epochs, delta, examples: None, budget };
        self.recipe.over(None, &setting)?;
        let TrainTest { train, test } = self.data.load()?;
        let limit = self.limit.map(|limit| limit as usize);
        let (train, test) = (Arc::new(first(train, limit)), first(test, limit));
        let setting = Setting { examples: Some(train.len()), ..setting };
        let options = self.recipe.over(None, &setting)?;
        options.resolve(train.len())?;
        let material = Material { spec, train, test, delta };
        if let Some(warning) = warning(&options.privacy) {
            note(&format!("{warning}\n"));
        }
        // Others may try the same services.
        let name = match self.remote {
            true => format!("demo-{:08x}", secure_rng().random::<u32>()),
            false => "demo".to_owned(),
        };
        let trial = Trial {
            name: &name,
            spec: &material.spec,
            train: &material.train,
            test: &material.test,
            options,
            delta,
            seed: defaults::SEED,
            verbose: self.verbose,
        };
        let (trained, evaluation) = match self.remote {
            true => Box::pin(trial.run_on(&config.endpoints()?, output, interrupt)).await?,
            false => trial.run(output, interrupt).await?,
        };
        let wall_seconds = started.elapsed().as_secs_f64();
        let report = summary::report(&material, &trained, &evaluation, wall_seconds);
        output.result(&report, || {
            summary::text(self, &material, &trained, &evaluation, wall_seconds)
        })?;
        if let Some(directory) = &self.report {
            for path in write_report(directory, &report)? {
                output.note(&format!("written        {}", path.display()))?;
            }
        }
        Ok(())
    }
}
