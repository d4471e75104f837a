//! The models of all tenants, loaded on demand and shared by all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sphinx_models::{ModelMeta, ModelStore, ModelVersion, StoreError, StoredModel};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{ByteCache, Compute, Metrics};

use crate::error::InferenceError;
use crate::model::LoadedModel;

/// How long a loaded model is used without asking whether it still exists.
const RECHECK: Duration = Duration::from_secs(5);

/// Loaded model versions. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Models {
    store: ModelStore,
    compute: Compute,
    loaded: ByteCache<VersionId, Entry>,
    started: Instant,
}

/// Which version of which model a request means. Versions never change, so neither does what is
/// loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VersionId {
    pub(crate) tenant: TenantId,
    pub(crate) model_id: ModelId,
    pub(crate) incarnation: [u8; 16],
    pub(crate) version: u64,
}

#[derive(Debug)]
struct Entry {
    model: Arc<LoadedModel>,
    /// Milliseconds from the start to the last look whether the model exists.
    checked: AtomicU64,
}

impl Models {
    /// Models of a store, at most `max_bytes` of them in memory besides those in use.
    pub(crate) fn new(store: ModelStore, compute: Compute, max_bytes: u64) -> Self {
        let loaded = ByteCache::new(max_bytes, |entry: &Entry| entry.model.bytes());
        Self { store, compute, loaded, started: Instant::now() }
    }

    /// Shows how the memory of models stands.
    pub(crate) fn watched(self, metrics: &Metrics) -> Self {
        Self { loaded: self.loaded.watched(metrics, "models"), ..self }
    }

    /// Whether the store answers now.
    pub(crate) async fn reach(&self) -> Result<(), StoreError> {
        self.store.reach().await
    }

    /// The version of a model that a request means, if its key is `key_id`. Requests that come
    /// while it is being loaded wait for the same load.
    pub(crate) async fn get(
        &self,
        wanted: VersionId,
        key_id: &KeyId,
    ) -> Result<Arc<LoadedModel>, InferenceError> {
        let model = match self.loaded.get(&wanted).await {
            Some(entry) => self.still_there(&wanted, entry).await?,
            None => self.load(wanted).await?,
        };
        if model.key_id == *key_id {
            return Ok(model);
        }
        let (model_id, expected) = (model.model_id.clone(), model.key_id.clone());
        Err(InferenceError::OtherKey { model: model_id, got: key_id.clone(), expected })
    }

    /// A version of a model, or its newest, whatever its key and incarnation.
    pub(crate) async fn describe(
        &self,
        tenant: TenantId,
        model_id: ModelId,
        version: Option<u64>,
    ) -> Result<Arc<LoadedModel>, InferenceError> {
        let StoredModel { meta, head, .. } = self.store.get(&tenant, &model_id).await?;
        let (incarnation, version) = (meta.incarnation, version.unwrap_or(head));
        self.load(VersionId { tenant, model_id, incarnation, version }).await
    }

    /// Whether a version has biases for recognition in one shot.
    pub(crate) async fn has_one_shot_biases(
        &self,
        tenant: &TenantId,
        model: &LoadedModel,
    ) -> Result<bool, InferenceError> {
        let StoredModel { meta, .. } = self.store.get(tenant, &model.model_id).await?;
        Ok(self.store.biases(&meta, model.version).await?.is_some())
    }

    /// The weights of a version, by stage: from the store, as clients ask once.
    pub(crate) async fn weights(
        &self,
        wanted: &VersionId,
        key_id: &KeyId,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        Ok(self.stored(wanted, key_id).await?.1.weights)
    }

    /// A version as the store has it, if its key is `key_id`.
    pub(crate) async fn stored(
        &self,
        wanted: &VersionId,
        key_id: &KeyId,
    ) -> Result<(ModelMeta, ModelVersion), InferenceError> {
        let StoredModel { meta, .. } = self.store.get(&wanted.tenant, &wanted.model_id).await?;
        if meta.incarnation != wanted.incarnation {
            return Err(InferenceError::OtherIncarnation { model: meta.model_id });
        }
        if meta.key_id != *key_id {
            let (model, expected) = (meta.model_id, meta.key_id);
            return Err(InferenceError::OtherKey { model, got: key_id.clone(), expected });
        }
        let version = self.store.load(&meta, Some(wanted.version)).await?;
        Ok((meta, version))
    }

    async fn load(&self, wanted: VersionId) -> Result<Arc<LoadedModel>, InferenceError> {
        let key = wanted.clone();
        let entry = self.loaded.get_or_make(key, self.read(wanted)).await?;
        Ok(Arc::clone(&entry.model))
    }

    async fn read(&self, wanted: VersionId) -> Result<Entry, InferenceError> {
        let begun = Instant::now();
        let StoredModel { meta, .. } = self.store.get(&wanted.tenant, &wanted.model_id).await?;
        if meta.incarnation != wanted.incarnation {
            return Err(InferenceError::OtherIncarnation { model: wanted.model_id });
        }
        let version = self.store.load(&meta, Some(wanted.version)).await?;
        let compute = self.compute.of(&meta.tenant);
        let model = compute.run(move || LoadedModel::new(&meta, version)).await??;
        let (bytes, millis) = (model.bytes(), begun.elapsed().as_millis());
        tracing::info!(model = %wanted.model_id, wanted.version, bytes, millis, "model loaded");
        let checked = AtomicU64::new(self.uptime_millis());
        Ok(Entry { model: Arc::new(model), checked })
    }

    /// A deleted model is not served for longer than [`RECHECK`].
    async fn still_there(
        &self,
        wanted: &VersionId,
        entry: Arc<Entry>,
    ) -> Result<Arc<LoadedModel>, InferenceError> {
        let (now, checked) = (self.uptime_millis(), entry.checked.load(Ordering::Relaxed));
        let due = u128::from(now.saturating_sub(checked)) >= RECHECK.as_millis();
        let order = Ordering::Relaxed;
        // One request asks; those beside it go on.
        if due && entry.checked.compare_exchange(checked, now, order, order).is_ok() {
            let there = match self.store.get(&wanted.tenant, &wanted.model_id).await {
                Ok(stored) if stored.meta.incarnation == wanted.incarnation => Ok(()),
                Ok(_) => Err(InferenceError::OtherIncarnation { model: wanted.model_id.clone() }),
                Err(error @ StoreError::NoModel { .. }) => Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "cannot ask whether a loaded model still exists");
                    Ok(())
                }
            };
            if let Err(gone) = there {
                self.loaded.forget(wanted).await;
                return Err(gone);
            }
        }
        Ok(Arc::clone(&entry.model))
    }

    fn uptime_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl VersionId {
    /// Reads the fields by which requests name a model.
    pub(crate) fn parse(
        tenant: TenantId,
        model_id: String,
        incarnation: &[u8],
        version: u64,
    ) -> Result<Self, ConversionError> {
        let model_id = ModelId::parse(model_id)?;
        let length =
            ConversionError::Length { field: "incarnation", got: incarnation.len(), expected: 16 };
        let incarnation = incarnation.try_into().map_err(|_| length)?;
        Ok(Self { tenant, model_id, incarnation, version })
    }
}
