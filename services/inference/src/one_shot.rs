//! Recognition in one shot: models and keys made ready, and a bound on what runs at once.

mod keys;
mod models;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sphinx_bootstrap::{Answer, Control, LayerDone, OneShotModel, PreparedKeys, Query};
use sphinx_runtime::{Compute, KeyDirectory};
use sphinx_store::ModelStore;
use tokio::sync::Semaphore;

use crate::{config::InferenceLimits, error::InferenceError};

pub(crate) use keys::Keys;
pub(crate) use models::Models;

/// Everything that requests of this kind share. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct OneShot {
    pub(crate) models: Models,
    pub(crate) keys: Keys,
    compute: Compute,
    places: Arc<Semaphore>,
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
    ) -> Self {
        Self {
            models: Models::new(store, compute.clone(), limits.max_one_shot_model_bytes),
            keys: Keys::new(directory, compute.clone(), limits.max_key_bytes),
            compute,
            places: Arc::new(Semaphore::new(limits.max_one_shot_evaluations as usize)),
        }
    }

    /// Waits for a place, then takes keys with `keys` and evaluates on the compute pool. Keys that fell out of the cache
    /// while they are used are held by the places alone, so the places bound them.
    pub(crate) async fn evaluate(
        &self,
        model: Arc<OneShotModel>,
        keys: impl Future<Output = Result<Arc<PreparedKeys>, InferenceError>>,
        query: Query,
    ) -> Result<Answer, InferenceError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| InferenceError::Stopped)?;
        let keys = keys.await?;
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
        Ok(answer)
    }
}

/// One line per part of an evaluation: shapes and times, no values.
fn trace(LayerDone { layer, step, samples, elapsed }: LayerDone) {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(layer, ?step, samples, micros, "layer done");
}
