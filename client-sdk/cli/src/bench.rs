//! `sphinx bench`: what everything costs on this machine, client and services sharing it.

mod ciphertexts;
mod delay;
mod features;
mod linear;
mod one_shot;
mod overhead;
mod recognition;
mod repair;
mod trained;
mod training;

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use sphinx_cluster::{ClusterOptions, LocalCluster};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Measure what encryption, training and recognition cost on this machine
#[derive(Debug, Args)]
pub struct Bench {
    /// Networks to train; repeat for several
    #[arg(long, value_name = "NAME", default_values_t = ["sphinx-mnist".to_owned(), "lola".to_owned()])]
    network: Vec<String>,
    /// Training steps per network, after two that warm up
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Single recognitions
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=2048))]
    images: u32,
    /// Test images recognised in one shot under encryption, at least 32
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    one_shot_images: u32,
    /// The network for that
    #[arg(long, value_name = "NAME", default_value = "mlp-100")]
    one_shot_network: String,
    /// Epochs of its training in the clear
    #[arg(long, value_name = "N", default_value_t = 15.0)]
    one_shot_epochs: f64,
    /// Test images recognised in one shot by a linear network, one by one and in a batch
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    linear_images: u32,
    /// The recipe that it is trained by in the clear
    #[arg(long, value_name = "NAME", default_value = "deskew-linear-eps2")]
    linear_recipe: String,
    /// Measure recognition in one shot by a linear network and nothing else
    #[arg(long, conflicts_with = "only_one_shot")]
    only_linear: bool,
    /// Measure recognition in one shot by a network with activations and nothing else
    #[arg(long)]
    only_one_shot: bool,
}

/// All figures. Times are wall-clock unless their name says cpu.
#[derive(Debug, Serialize)]
struct Figures {
    /// Threads that client and services share.
    threads: usize,
    /// Nothing of this with `--only-one-shot` or `--only-linear`.
    #[serde(flatten)]
    others: Option<Others>,
    /// Not with `--only-linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_shot: Option<one_shot::Figures>,
    /// Not with `--only-one-shot`, as the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_shot_linear: Option<linear::Single>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_shot_batch: Option<linear::Batch>,
}

#[derive(Debug, Serialize)]
struct Others {
    he: ciphertexts::Figures,
    train: BTreeMap<String, training::Figures>,
    prepare: recognition::Prepare,
    infer: recognition::Infer,
}

impl Bench {
    pub async fn run(&self, output: Output, interrupt: &Interrupt) -> Result<(), CliError> {
        let all = !self.only_one_shot && !self.only_linear;
        let he = all.then(ciphertexts::measure).transpose()?;
        let mut options = ClusterOptions::current_program()?;
        options.verbose = false;
        let cluster = interrupt.guard(LocalCluster::start(options)).await?;
        let measured = Box::pin(interrupt.guard(self.measure(&cluster, he, output))).await;
        let stopped = cluster.shutdown().await;
        let figures = measured?;
        stopped?;
        let text = serde_json::to_string_pretty(&figures)
            .map_err(|error| CliError::Output(std::io::Error::other(error)))?;
        output.result(&figures, || format!("{text}\n"))
    }

    async fn measure(
        &self,
        cluster: &LocalCluster,
        he: Option<ciphertexts::Figures>,
        output: Output,
    ) -> Result<Figures, CliError> {
        let others = match he {
            Some(he) => Some(Box::pin(self.others(cluster, he, output)).await?),
            None => None,
        };
        let one_shot = match self.only_linear {
            true => None,
            false => {
                output.note("recognising in one shot")?;
                let (name, images) = (&self.one_shot_network, self.one_shot_images as usize);
                let measure = one_shot::measure(cluster, name, images, self.one_shot_epochs);
                Some(Box::pin(measure).await?)
            }
        };
        let (one_shot_linear, one_shot_batch) = match self.only_one_shot {
            true => (None, None),
            false => {
                output.note("recognising in one shot by a linear network")?;
                let (recipe, images) = (&self.linear_recipe, self.linear_images as usize);
                let (alone, batch) = Box::pin(linear::measure(cluster, recipe, images)).await?;
                (Some(alone), Some(batch))
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Figures { threads, others, one_shot, one_shot_linear, one_shot_batch })
    }

    async fn others(
        &self,
        cluster: &LocalCluster,
        he: ciphertexts::Figures,
        output: Output,
    ) -> Result<Others, CliError> {
        let mut train = BTreeMap::new();
        let mut trained = None;
        for network in &self.network {
            output.note(&format!("training {network}"))?;
            let (figures, model) =
                Box::pin(training::measure(cluster, network, self.steps)).await?;
            train.insert(network.clone(), figures);
            trained = trained.or(Some(model));
        }
        output.note("recognising")?;
        let model = trained.ok_or_else(|| CliError::Usage("no network to measure".to_owned()))?;
        let measure = recognition::measure(cluster, model, self.images as usize);
        let (prepare, infer) = Box::pin(measure).await?;
        Ok(Others { he, train, prepare, infer })
    }
}
