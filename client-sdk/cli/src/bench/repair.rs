//! Repairing a block of tickets after private training steps, against preparing it.

use std::sync::Arc;
use std::time::Instant;

use rand::{CryptoRng, RngExt};
use serde::Serialize;
use sphinx_client::data::Dataset;
use sphinx_client::recognition::{self, Recogniser, TicketBook};
use sphinx_client::tickets::{STORE_PURPOSE, StoreKey};
use sphinx_client::{
    ClientError, EncryptedSession, Privacy, Protocol, SessionOptions, TenantId, TrainingOptions,
    train_without_ledger,
};
use sphinx_linalg::SLOTS;
use sphinx_network::NetworkSpec;
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::Target;
use sphinx_proto::SessionId;

use super::training::Model;
use crate::defaults;
use crate::error::CliError;
use crate::train::flags::default_delta;

/// Single steps that are measured; the middle one counts.
const SINGLE: usize = 5;
/// Steps of the long distance.
const FAR: usize = 10;

/// Repairs of 2048 tickets. Steps are private ones at the learning rate that `sphinx train` begins
/// with, where versions differ most.
#[derive(Debug, Serialize)]
pub struct Repair {
    /// Time over that of preparing the same tickets, between two consecutive commits.
    repair_fraction: f64,
    repair_us_per_ticket: f64,
    /// All messages of a repair.
    repair_bytes: u64,
    /// The same over ten commits.
    repair_fraction_10_commits: f64,
    /// The same for tickets on disk: read, repaired and written, over the time of preparing and
    /// writing them.
    repair_stored_fraction: f64,
}

/// Trains `model` further; `prepare_ms` is what preparing a ticket takes.
pub async fn measure(model: &Model, prepare_ms: f64) -> Result<Repair, CliError> {
    let data = sphinx_mnist::load()?.train;
    let mut rng = sphinx_client::secure_rng();
    let mut recogniser = Recogniser::new(&model.client, model.read_key().await?).await?;
    let (start, mut near) = (recogniser.clone(), recogniser.prepare(SLOTS, &mut rng).await?);
    let mut far = start.prepare(SLOTS, &mut rng).await?;
    let directory = tempfile::tempdir().map_err(CliError::System)?;
    let key = StoreKey::new(model.key.derive(STORE_PURPOSE));
    let store = start.ticket_store(directory.path(), &TenantId::default(), &key)?;
    let store = Arc::new(store);
    let stored = start.prepare(SLOTS, &mut rng).await?;
    let begun = Instant::now();
    start.keep(&store, stored).await?;
    let keep = millis(begun);
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..SINGLE {
        train(model, recogniser.network(), &data, 1, &mut rng).await?;
        recogniser = recogniser.refreshed().await?;
        let before = recogniser.traffic();
        times.push(repair(&recogniser, &mut near).await?);
        let after = recogniser.traffic();
        bytes = after.up + after.down - before.up - before.down;
    }
    train(model, recogniser.network(), &data, FAR - SINGLE, &mut rng).await?;
    let newest = start.refreshed().await?;
    let distant = repair(&newest, &mut far).await?;
    let begun = Instant::now();
    let repaired = newest.repair_stored(&store).await?;
    let stored = millis(begun);
    complete(&repaired)?;
    times.sort_by(f64::total_cmp);
    let near = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let prepare = prepare_ms * SLOTS as f64;
    Ok(Repair {
        repair_fraction: near / prepare,
        repair_us_per_ticket: near * 1e3 / SLOTS as f64,
        repair_bytes: bytes,
        repair_fraction_10_commits: distant / prepare,
        repair_stored_fraction: stored / (prepare + keep),
    })
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Whether a whole block was repaired.
fn complete(repair: &recognition::Repair) -> Result<(), CliError> {
    if repair.repaired == SLOTS {
        Ok(())
    } else {
        Err(CliError::Usage(format!("tickets were not repaired: {:?}", repair.given_up)))
    }
}

/// Milliseconds to repair a whole block.
async fn repair(recogniser: &Recogniser, book: &mut TicketBook) -> Result<f64, CliError> {
    let begun = Instant::now();
    let repair = recogniser.repair(book).await?;
    let millis = millis(begun);
    complete(&repair)?;
    Ok(millis)
}

/// So many private steps. No ledger: this model is thrown away.
async fn train(
    model: &Model,
    spec: &NetworkSpec,
    data: &Dataset,
    steps: usize,
    rng: &mut impl CryptoRng,
) -> Result<(), CliError> {
    let target = Target::new(8.0, default_delta()?).map_err(sphinx_privacy::PlanError::from)?;
    let options = TrainingOptions {
        epochs: steps as f64 * SLOTS as f64 / data.len() as f64,
        blocks: 1,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: defaults::SGD_MOMENTUM, nesterov: false },
        learning_rate: defaults::SGD_PRIVATE_RATE,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::Budget { target, clipping_norm: defaults::CLIPPING_NORM },
    };
    let session = SessionOptions {
        model_id: model.model_id.clone(),
        key_id: model.key_id.clone(),
        key: Arc::clone(&model.key),
        session_id: SessionId(rng.random()),
        rule: options.rule(data.len())?,
        protocol: Protocol::default(),
    };
    let mut session = EncryptedSession::open(&model.client, session).await?;
    let (spec, data, seed) = (spec.clone(), data.clone(), rng.random());
    let training = tokio::task::spawn_blocking(move || {
        let mut progress = |progress: &sphinx_client::Progress| progress.step < steps as u64;
        train_without_ledger(&mut session, &spec, &data, &options, seed, &mut progress)
    });
    let panicked = |error: tokio::task::JoinError| ClientError::Task { cause: error.to_string() };
    training.await.map_err(panicked)??;
    Ok(())
}
