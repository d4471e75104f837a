//! `sphinx demo`: trains and tests a network on this machine, services, keys and all.

mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::cluster::{ClusterOptions, LocalCluster};
use sphinx_client::data::Dataset;
use sphinx_client::report::write_report;
use sphinx_client::{
    Endpoints, KeyId, ModelId, ModelLedger, SphinxClient, TenantId, TrainingRequest,
};
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;
use sphinx_secret::SecretKey;

use crate::data::{DataArgs, first};
use crate::error::CliError;
use crate::evaluation::Evaluation;
use crate::home::fingerprint;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::recipe::{RecipeArgs, default_delta};
use crate::training::{self, Trained};
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
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

/// What the demo works on.
struct Material {
    spec: NetworkSpec,
    train: Arc<Dataset>,
    test: Dataset,
    delta: Delta,
}

impl Demo {
    pub async fn run(&self, output: Output, interrupt: &Interrupt) -> Result<(), CliError> {
        let started = Instant::now();
        let delta = self.recipe.delta().map_or_else(default_delta, Ok)?;
        let spec = network::load(&self.network)?;
        // Wrong options show before anything is started.
        self.recipe.options(defaults::DEMO_EPOCHS, delta)?;
        let (train, test) = self.data.load()?;
        let limit = self.limit.map(|limit| limit as usize);
        let (train, test) = (Arc::new(first(train, limit)?), first(test, limit)?);
        let material = Material { spec, train, test, delta };
        if let Some(warning) = self.recipe.warning() {
            eprintln!("{warning}\n");
        }
        let mut options = ClusterOptions::current_program()?;
        options.verbose = self.verbose;
        let cluster = interrupt.guard(LocalCluster::start(options)).await?;
        let result = self.run_on(&cluster, &material, output, interrupt).await;
        let stopped = cluster.shutdown().await;
        let (trained, evaluation) = result?;
        stopped?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let report = summary::report(&material, &trained, &evaluation, wall_seconds);
        output.result(&report, || {
            summary::text(&self.network, &material, &trained, &evaluation, wall_seconds)
        })?;
        if let Some(directory) = &self.report {
            for path in write_report(directory, &report)? {
                output.note(&format!("written        {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Everything that a user of running services does.
    async fn run_on(
        &self,
        cluster: &LocalCluster,
        material: &Material,
        output: Output,
        interrupt: &Interrupt,
    ) -> Result<(Trained, Evaluation), CliError> {
        let endpoints = Endpoints {
            trainer: cluster.trainer.to_string(),
            inference: cluster.inference.to_string(),
            keyvault: cluster.keyvault.to_string(),
            tenant: TenantId::default(),
        };
        let Endpoints { trainer, inference, keyvault, .. } = &endpoints;
        output.note(&format!("services  {trainer}, {inference}, {keyvault}"))?;
        let client = SphinxClient::new(&endpoints)?;
        let (key_id, model_id) = (KeyId::parse("demo")?, ModelId::parse("demo")?);
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        let key = Arc::new(SecretKey::generate(&mut rng)?);
        let public = key.public_material(&mut rng);
        interrupt.guard(client.register_material(&key_id, &public, "sphinx demo")).await?;
        output.note(&format!("key       {} (fingerprint)", fingerprint(&public)))?;
        let creation = client.create_model(&model_id, &key_id, &material.spec, defaults::SEED);
        let model = interrupt.guard(creation).await?;
        let (weights, biases) = (model.weights, model.biases);
        let name = &material.spec.name;
        output.note(&format!("model     {name}: {weights} weights, {biases} encrypted biases"))?;

        let directory = tempfile::tempdir().map_err(CliError::System)?;
        let ledger = directory.path().join("demo.redb");
        let Material { train, test, delta, .. } = material;
        ModelLedger::create(&ledger, model_id.as_str(), train.len(), *delta)?;
        let request = TrainingRequest {
            model_id: model_id.clone(),
            key_id: key_id.clone(),
            key: Arc::clone(&key),
            data: Arc::clone(train),
            options: self.recipe.options(defaults::DEMO_EPOCHS, *delta)?,
            ledger,
            delta: *delta,
        };
        let trained = training::run(&client, request, output, interrupt).await?;
        if trained.interrupted {
            return Err(CliError::Interrupted);
        }
        let test = Evaluation::of(&client, &model_id, (&key_id, key), test, output);
        let evaluation = interrupt.guard(test).await?;
        Ok((trained, evaluation))
    }
}
