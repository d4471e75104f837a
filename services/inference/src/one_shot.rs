//! Recognition in one shot: models and keys made ready, and a bound on what runs at once.

mod keys;
mod models;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sphinx_bootstrap::{Control, LayerDone, OneShotModel, PreparedKeys};
use sphinx_channel::KeyDirectory;
use sphinx_evaluation_keys::{Answer, Query};
use sphinx_models::ModelStore;
use sphinx_proto::TenantId;
use sphinx_runtime::{Compute, Metrics, Shares, Work, WorkMeter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::config::InferenceLimits;
use crate::error::{InferenceError, RETRY_AFTER};

pub(crate) use keys::KeyCache;
pub(crate) use models::OneShotModels;

/// Most requests that wait for a place; each also takes one of the service's places for calls of
/// all kinds while it waits.
const MAX_WAITING: usize = 16;

/// Everything that requests of this kind share. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct OneShot {
    pub(crate) models: OneShotModels,
    pub(crate) keys: KeyCache,
    compute: Compute,
    places: Arc<Semaphore>,
    waiting: Arc<Shares>,
    work: WorkMeter,
}

/// Sets the flag of an evaluation when its request ends, however it ends.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl OneShot {
    pub(crate) fn new(
        store: ModelStore,
        directory: KeyDirectory,
        compute: Compute,
        limits: &InferenceLimits,
        metrics: &Metrics,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.max_one_shot_evaluations as usize));
        let what = "one-shot recognitions waiting";
        let waiting = Arc::new(Shares::new(what, MAX_WAITING, RETRY_AFTER));
        let most = limits.max_one_shot_evaluations as usize;
        metrics.watch_permits("one_shot", most, &places);
        metrics.watch_permits("one_shot_queue", MAX_WAITING, waiting.free());
        let models = OneShotModels::new(store, compute.clone(), limits.max_one_shot_model_bytes);
        let keys = KeyCache::new(directory, compute.clone(), limits.max_key_bytes);
        Self {
            models: models.watched(metrics),
            keys: keys.watched(metrics),
            compute,
            places,
            waiting,
            work: metrics.work(Work::OneShot),
        }
    }

    /// Waits for a place unless too many wait, then takes keys with `keys` and evaluates on the
    /// compute pool. Keys that fell out of the cache while they are used are held by the places
    /// alone, so the places bound them.
    pub(crate) async fn evaluate(
        &self,
        tenant: &TenantId,
        model: Arc<OneShotModel>,
        keys: impl Future<Output = Result<Arc<PreparedKeys>, InferenceError>>,
        query: Query,
    ) -> Result<Answer, InferenceError> {
        let place = self.place(tenant).await?;
        let keys = keys.await?;
        let network = model.network();
        let (ciphertexts, neurons) = (network.layout().ciphertexts(), network.neurons());
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(Arc::clone(&cancelled));
        let evaluation = move || {
            let answer = model.evaluate(&keys, &query, &Control::new(&cancelled, &trace));
            if answer.is_err() {
                tracing::debug!("evaluation stopped");
            }
            drop((keys, place));
            answer
        };
        let answer = self.compute.run(evaluation).await??;
        drop(guard);
        // The logits are packed into one.
        self.work.product(ciphertexts, 1, 0);
        self.work.bootstraps(neurons);
        self.work.images(1);
        Ok(answer)
    }

    /// A place at once, or after a wait if not too many wait already, of the tenant or of all.
    async fn place(&self, tenant: &TenantId) -> Result<OwnedSemaphorePermit, InferenceError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::Closed) => return Err(InferenceError::Stopped),
            Err(TryAcquireError::NoPermits) => {}
        }
        let _waiting = self.waiting.take(tenant, 1)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_| InferenceError::Stopped)
    }
}

/// One line per part of an evaluation: shapes and times, no values.
fn trace(LayerDone { layer, step, samples, elapsed }: LayerDone) {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(layer, ?step, samples, micros, "layer done");
}
