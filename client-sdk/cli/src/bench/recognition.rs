//! Recognition through real services: tickets, single images, many images.

use std::time::{Duration, Instant};

use serde::Serialize;
use sphinx_client::recognition::{Recogniser, TicketBook};
use sphinx_client::{Endpoints, SphinxClient};
use sphinx_cluster::{LocalCluster, Usage};
use sphinx_linalg::SLOTS;
use sphinx_network::Plan;

use super::delay;
use super::repair::{self, Repair};
use super::training::Model;
use crate::error::CliError;

/// Images of the measurement of many at once.
const BATCH: usize = 1000;
/// Images of the measurement at a distance, and the round trip that is added.
const DELAYED: usize = 50;
const DELAY: Duration = Duration::from_millis(20);

/// Cost of a ticket, averaged over 2048 made together.
#[derive(Debug, Serialize)]
pub struct Prepare {
    ms_per_ticket: f64,
    bytes_per_ticket: u64,
    #[serde(flatten)]
    repair: Repair,
}

/// Online recognition.
#[derive(Debug, Serialize)]
pub struct Infer {
    /// One image after the other.
    p50_ms: f64,
    p99_ms: f64,
    bytes_per_image: u64,
    /// Many images through the same rounds.
    batch_images_per_second: f64,
    /// Calls per image: one per linear layer.
    rounds: usize,
    /// Round trip added by a relay between client and service, and what one image then takes.
    delay_ms: f64,
    delayed_p50_ms: f64,
    /// That less `rounds` round trips.
    delayed_excess_ms: f64,
    /// CPU time inside the checks of answers over all that the client takes online, of all threads.
    check_overhead: Option<f64>,
}

/// CPU seconds of this process, and those inside checks, so far.
#[derive(Clone, Copy)]
struct Cpu {
    all: Option<f64>,
    checks: f64,
}

impl Cpu {
    fn of(recogniser: &Recogniser) -> Self {
        let all = Usage::of(std::process::id()).map(|usage| usage.cpu_seconds);
        Self { all, checks: recogniser.check_cpu().as_secs_f64() }
    }

    fn since(self, before: Self) -> Self {
        let all = self.all.zip(before.all).map(|(now, before)| now - before);
        Self { all, checks: self.checks - before.checks }
    }
}

pub async fn measure(
    cluster: &LocalCluster,
    model: Model,
    images: usize,
) -> Result<(Prepare, Infer), CliError> {
    let recogniser = recogniser(&model, &model.client).await?;
    let test = sphinx_mnist::load()?.test;
    let mut rng = sphinx_client::secure_rng();
    let bytes = || {
        let traffic = recogniser.traffic();
        traffic.up + traffic.down
    };
    // The first warms up the service's cache of models and both sides' memory.
    recogniser.prepare(SLOTS, &mut rng).await?;
    let (started, before) = (Instant::now(), bytes());
    let mut tickets = recogniser.prepare(SLOTS, &mut rng).await?;
    let ms_per_ticket = started.elapsed().as_secs_f64() * 1e3 / SLOTS as f64;
    let bytes_per_ticket = (bytes() - before) / SLOTS as u64;

    let pixels = |index: usize| test.pixels(index % test.len()).unwrap_or_default();
    let (before, cpu) = (bytes(), Cpu::of(&recogniser));
    let times = one_by_one(&recogniser, &mut tickets, images, pixels).await?;
    let bytes_per_image = (bytes() - before) / images as u64;
    let single = Cpu::of(&recogniser).since(cpu);

    let batch: Vec<Vec<f32>> = (0..BATCH).map(pixels).collect();
    let tickets = recogniser.prepare(BATCH, &mut rng).await?.take_many(BATCH)?;
    let (started, cpu) = (Instant::now(), Cpu::of(&recogniser));
    recogniser.infer_batch(tickets, &batch).await?;
    let batch_images_per_second = BATCH as f64 / started.elapsed().as_secs_f64();
    let many = Cpu::of(&recogniser).since(cpu);
    let check_overhead =
        single.all.zip(many.all).map(|(one, all)| (single.checks + many.checks) / (one + all));

    let rounds = Plan::new(recogniser.network())?.stages.len();
    let far = delay::proxy(cluster.inference.0, DELAY).map_err(CliError::System)?;
    let far = self::recogniser(&model, &client(cluster, &format!("http://{far}"))?).await?;
    let mut tickets = recogniser.prepare(DELAYED + 1, &mut rng).await?;
    // The first connects.
    one_by_one(&far, &mut tickets, 1, pixels).await?;
    let delayed = at(&one_by_one(&far, &mut tickets, DELAYED, pixels).await?, 0.5);
    let delay_ms = DELAY.as_secs_f64() * 1e3;
    let infer = Infer {
        p50_ms: at(&times, 0.5),
        p99_ms: at(&times, 0.99),
        bytes_per_image,
        batch_images_per_second,
        rounds,
        delay_ms,
        delayed_p50_ms: delayed,
        delayed_excess_ms: delayed - rounds as f64 * delay_ms,
        check_overhead,
    };
    let repair = Box::pin(repair::measure(&model, ms_per_ticket)).await?;
    Ok((Prepare { ms_per_ticket, bytes_per_ticket, repair }, infer))
}

async fn recogniser(model: &Model, client: &SphinxClient) -> Result<Recogniser, CliError> {
    Ok(Recogniser::new(client, model.read_key().await?).await?)
}

/// A client whose inference service is somewhere else.
fn client(cluster: &LocalCluster, inference: &str) -> Result<SphinxClient, CliError> {
    Ok(SphinxClient::new(&Endpoints {
        trainer: cluster.trainer.to_string(),
        inference: inference.to_owned(),
        keyvault: cluster.keyvault.to_string(),
        ..Endpoints::default()
    })?)
}

/// Milliseconds of every image, in order of size.
async fn one_by_one(
    recogniser: &Recogniser,
    tickets: &mut TicketBook,
    images: usize,
    pixels: impl Fn(usize) -> Vec<f32>,
) -> Result<Vec<f64>, CliError> {
    let mut times = Vec::with_capacity(images);
    for index in 0..images {
        let (image, ticket) = (pixels(index), tickets.take()?);
        let started = Instant::now();
        recogniser.infer(ticket, &image).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The value below which a share of the times lies.
fn at(times: &[f64], share: f64) -> f64 {
    times.get((share * times.len() as f64) as usize).copied().unwrap_or(f64::NAN)
}
