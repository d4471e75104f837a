//! Training steps through real services.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_client::data::Dataset;
use sphinx_client::{
    ClearTwin, Endpoints, KeyId, Memory, ModelId, ModelLedger, Privacy, Progress, Protocol,
    SphinxClient, TenantId, Traffic, TrainingOptions, TrainingRequest, train_without_ledger,
};
use sphinx_cluster::{LocalCluster, Service, Usage};
use sphinx_linalg::SLOTS;
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Target, block_capacity, largest_expected_batch};
use sphinx_secret::{ModelName, ReadKey, RootKey};

use super::overhead::{self, DpMillis};
use crate::error::CliError;
use crate::train::flags::default_delta;
use crate::{defaults, network};

/// Steps before the clock starts: connections, caches, memory.
const WARM_UP: u64 = 2;

/// Costs of private training, everything included, for batches padded to whole blocks of 2048. A
/// Poisson batch fills about 1790 of 2048 slots; `ms_per_drawn_image` divides by those.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Dimension and words of the ciphertexts.
    profile: &'static str,
    /// With one block per step.
    #[serde(flatten)]
    one_block: Costs,
    ms_per_drawn_image: f64,
    /// CPU time inside the checks of products over all CPU time of the client.
    check_overhead: Option<f64>,
    /// What clipping, noise and the durable ledger take of a private step's wall time: the
    /// difference to the same step without them, whose parts are in `dp_ms`.
    dp_overhead: f64,
    /// The same if all work on gradients is counted, which exact training does as well.
    dp_overhead_at_most: f64,
    /// Those parts, measured one by one.
    dp_ms: DpMillis,
    /// With four blocks per step, which share masks.
    blocks4: Costs,
}

/// Costs per slot.
#[derive(Debug, Serialize)]
struct Costs {
    ms_per_image: f64,
    bytes_up_per_image: u64,
    bytes_down_per_image: u64,
    client_cpu_ms_per_image: Option<f64>,
    server_cpu_ms_per_image: Option<f64>,
    client_peak_bytes: Option<u64>,
    server_peak_bytes: Option<u64>,
    /// The same training loop with the layers in the clear: wall time, and CPU of all threads.
    clear_ms_per_image: f64,
    clear_cpu_ms_per_image: Option<f64>,
    /// CPU of training alone in the clear over CPU of the client: above 1 the cloud saves work.
    outsourcing_gain: Option<f64>,
}

/// A trained model to recognise with.
pub struct Model {
    pub client: SphinxClient,
    pub model_id: ModelId,
    pub key_id: KeyId,
    pub key: Arc<RootKey>,
}

impl Model {
    /// What opens and checks the model.
    pub async fn read_key(&self) -> Result<Arc<ReadKey>, CliError> {
        let incarnation = self.client.model(&self.model_id).await?.incarnation;
        let (tenant, model) = (TenantId::default().to_string(), self.model_id.to_string());
        Ok(Arc::new(self.key.read_key(&ModelName { tenant, model, incarnation })))
    }
}

/// The state of things at a step.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    traffic: Traffic,
    checks: Duration,
    client: Option<Usage>,
    server: Option<Usage>,
}

pub async fn measure(
    cluster: &LocalCluster,
    name: &str,
    steps: u64,
) -> Result<(Figures, Model), CliError> {
    let spec = network::load(name)?;
    let data = sphinx_mnist::load()?.train;
    let model = create(cluster, &spec, name).await?;
    let wide = create(cluster, &spec, &format!("{name}-blocks4")).await?;
    let one = options(WARM_UP + steps, data.len(), 1)?;
    let four = options(WARM_UP + steps, data.len(), 4)?;
    let trainer = cluster.pid(Service::Trainer);
    let narrow = Measured::take(trainer, &model, &data, (&one, steps)).await?;
    let clear = Clear::take(&spec, &data, &one, WARM_UP + steps)?;
    let wide = Measured::take(trainer, &wide, &data, (&four, steps)).await?;
    let clear_wide = Clear::take(&spec, &data, &four, WARM_UP + steps)?;
    let dp_ms = overhead::measure(&spec, &one, data.len())?;
    let capacity = block_capacity(1, 1);
    let batch = largest_expected_batch(data.len() as u64, capacity, one.epochs, default_delta()?);
    let Measured { start, end, .. } = &narrow;
    let millis = (end.at - start.at).as_secs_f64() * 1e3;
    let figures = Figures {
        profile: Protocol::default().profile_of(&Plan::new(&spec)?)?.name(),
        one_block: narrow.costs(&clear),
        ms_per_drawn_image: millis / (steps as f64 * batch as f64),
        check_overhead: start.client.zip(end.client).map(|(from, to)| {
            (end.checks - start.checks).as_secs_f64() / (to.cpu_seconds - from.cpu_seconds)
        }),
        dp_overhead: dp_ms.share(millis / steps as f64),
        dp_overhead_at_most: dp_ms.share_at_most(millis / steps as f64),
        dp_ms,
        blocks4: wide.costs(&clear_wide),
    };
    Ok((figures, model))
}

/// What stood before and after the steps that count.
struct Measured {
    start: Mark,
    end: Mark,
    /// Slots of those steps.
    slots: f64,
}

impl Measured {
    /// Trains through the services.
    async fn take(
        trainer: Option<u32>,
        model: &Model,
        data: &Dataset,
        (options, steps): (&TrainingOptions, u64),
    ) -> Result<Self, CliError> {
        let directory = tempfile::tempdir().map_err(CliError::System)?;
        let ledger = directory.path().join("ledger");
        ModelLedger::create(&ledger, model.model_id.as_str(), data.len(), default_delta()?)?;
        let request = TrainingRequest {
            model_id: model.model_id.clone(),
            key_id: model.key_id.clone(),
            key: Arc::clone(&model.key),
            data: Arc::new(data.clone()),
            options: options.clone(),
            ledger,
            delta: default_delta()?,
            seed: None,
            protocol: Protocol::default(),
            shards: NonZeroUsize::MIN,
            pipeline: None,
            memory: Memory::default(),
            account: None,
        };
        let marks = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&marks);
        let progress = move |progress: &Progress| {
            let mark = Mark {
                at: Instant::now(),
                traffic: progress.traffic,
                checks: progress.check_cpu,
                client: Usage::of(std::process::id()),
                server: trainer.and_then(Usage::of),
            };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((progress.step, mark));
            progress.step < WARM_UP + steps
        };
        model.client.train_model(request, progress).await?;
        let marks = std::mem::take(&mut *marks.lock().unwrap_or_else(PoisonError::into_inner));
        let mark = |step: u64| marks.iter().find(|(at, _)| *at == step).map(|(_, mark)| *mark);
        let (Some(start), Some(end)) = (mark(WARM_UP), mark(WARM_UP + steps)) else {
            return Err(CliError::Usage("the privacy budget ended the measurement".to_owned()));
        };
        let slots = (steps * options.blocks) as f64 * SLOTS as f64;
        Ok(Self { start, end, slots })
    }

    fn costs(&self, clear: &Clear) -> Costs {
        let Self { start, end, slots } = self;
        let cpu = |from: Option<Usage>, to: Option<Usage>| {
            Some((to?.cpu_seconds - from?.cpu_seconds) * 1e3 / slots)
        };
        let client = cpu(start.client, end.client);
        Costs {
            ms_per_image: (end.at - start.at).as_secs_f64() * 1e3 / slots,
            bytes_up_per_image: ((end.traffic.up - start.traffic.up) as f64 / slots) as u64,
            bytes_down_per_image: ((end.traffic.down - start.traffic.down) as f64 / slots) as u64,
            client_cpu_ms_per_image: client,
            server_cpu_ms_per_image: cpu(start.server, end.server),
            client_peak_bytes: end.client.map(|usage| usage.peak_resident_bytes),
            server_peak_bytes: end.server.map(|usage| usage.peak_resident_bytes),
            clear_ms_per_image: clear.ms_per_image,
            clear_cpu_ms_per_image: clear.cpu_ms_per_image,
            outsourcing_gain: clear.cpu_ms_per_image.zip(client).map(|(clear, own)| clear / own),
        }
    }
}

/// A private training of at least so many steps, with a budget that does not end it.
fn options(steps: u64, examples: usize, blocks: u64) -> Result<TrainingOptions, CliError> {
    let target = Target::new(8.0, default_delta()?).map_err(sphinx_privacy::PlanError::from)?;
    Ok(TrainingOptions {
        // At least so many steps: batches are smaller than that. The measurement ends it.
        epochs: (steps * blocks) as f64 * SLOTS as f64 / examples as f64,
        blocks,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: defaults::SGD_MOMENTUM, nesterov: false },
        learning_rate: 1.0,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::Budget { target, clipping_norm: defaults::CLIPPING_NORM },
    })
}

pub async fn create(
    cluster: &LocalCluster,
    spec: &NetworkSpec,
    name: &str,
) -> Result<Model, CliError> {
    let client = SphinxClient::new(&Endpoints {
        trainer: cluster.trainer.to_string(),
        inference: cluster.inference.to_string(),
        keyvault: cluster.keyvault.to_string(),
        ..Endpoints::default()
    })?;
    let mut rng = sphinx_client::secure_rng();
    let key = Arc::new(RootKey::generate(&mut rng));
    let (key_id, model_id) = (KeyId::parse(name)?, ModelId::parse(name)?);
    client.register_key(&key_id, &key.identity(), "sphinx bench").await?;
    client.create_model(&model_id, &key_id, spec, defaults::SEED).await?;
    Ok(Model { client, model_id, key_id, key })
}

/// The same loop on the clear-text twin, per slot.
struct Clear {
    ms_per_image: f64,
    cpu_ms_per_image: Option<f64>,
}

impl Clear {
    fn take(
        spec: &NetworkSpec,
        data: &Dataset,
        options: &TrainingOptions,
        steps: u64,
    ) -> Result<Self, CliError> {
        let plan = Plan::new(spec)?;
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(defaults::SEED));
        let mut twin = ClearTwin::new(&plan, parameters, options.rule(data.len())?)?;
        let mut marks = Vec::new();
        train_without_ledger(&mut twin, spec, data, options, [0; 32], &mut |progress| {
            marks.push((Instant::now(), Usage::of(std::process::id())));
            progress.step < steps
        })?;
        let (Some((start, from)), Some((end, to))) =
            (marks.get(WARM_UP as usize - 1), marks.last())
        else {
            return Ok(Self { ms_per_image: f64::NAN, cpu_ms_per_image: None });
        };
        let steps = marks.len() as f64 - WARM_UP as f64;
        let slots = steps * options.blocks as f64 * SLOTS as f64;
        let cpu = from.zip(*to).map(|(from, to)| (to.cpu_seconds - from.cpu_seconds) * 1e3 / slots);
        let ms_per_image = (*end - *start).as_secs_f64() * 1e3 / slots;
        Ok(Self { ms_per_image, cpu_ms_per_image: cpu })
    }
}
