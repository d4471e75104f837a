//! Evaluation keys of tenants, fetched from the key vault and kept in the form that evaluations read.

use std::sync::Arc;

use moka::{future::Cache, policy::EvictionPolicy};
use sphinx_bootstrap::{EvaluationKeys, MAX_KEY_BYTES, OneShotProfile, PreparedKeys};
use sphinx_proto::{KeyId, TenantId, v1::Key};
use sphinx_runtime::{Compute, KeyDirectory};
use tokio::sync::Mutex;

use crate::error::InferenceError;

/// Prepared keys, in memory only. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    directory: KeyDirectory,
    compute: Compute,
    prepared: Cache<(TenantId, KeyId), Arc<Entry>>,
    /// Held while keys are fetched and expanded, which takes twice their final memory: one at a time.
    preparing: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: String,
    keys: Arc<PreparedKeys>,
}

impl Keys {
    /// Keys of at most `max_bytes` in memory, besides those in use.
    pub(crate) fn new(directory: KeyDirectory, compute: Compute, max_bytes: u64) -> Self {
        // Weighed in KiB, since the cache counts in 32 bits.
        let kibibytes = |_: &(TenantId, KeyId), entry: &Arc<Entry>| {
            u32::try_from(entry.keys.bytes() / 1024 + 1).unwrap_or(u32::MAX)
        };
        let prepared = Cache::builder()
            .weigher(kibibytes)
            .max_capacity(max_bytes / 1024)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { directory, compute, prepared, preparing: Arc::default() }
    }

    /// What is registered now, checked against the fingerprint that a request expects; empty expects nothing.
    pub(crate) async fn registered(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        fingerprint: &str,
    ) -> Result<Key, InferenceError> {
        let key = match self.directory.evaluation(tenant, key_id).await {
            Ok(key) => key,
            Err(error) => {
                if matches!(error, sphinx_runtime::KeyError::NoEvaluation { .. }) {
                    self.prepared.invalidate(&(tenant.clone(), key_id.clone())).await;
                }
                return Err(error.into());
            }
        };
        if fingerprint.is_empty() || fingerprint == key.fingerprint {
            return Ok(key);
        }
        let (got, expected) = (fingerprint.to_owned(), key.fingerprint);
        Err(InferenceError::OtherFingerprint { key_id: key_id.clone(), got, expected })
    }

    /// The prepared form of registered keys: from memory, or fetched, checked and expanded. Requests that come meanwhile
    /// wait for the same.
    pub(crate) async fn prepared(
        &self,
        tenant: TenantId,
        key_id: KeyId,
        key: Key,
    ) -> Result<Arc<PreparedKeys>, InferenceError> {
        let id = (tenant, key_id);
        if let Some(entry) = self.prepared.get(&id).await {
            if entry.fingerprint == key.fingerprint {
                return Ok(Arc::clone(&entry.keys));
            }
            // Other keys were registered under this id.
            self.prepared.invalidate(&id).await;
        }
        let prepare = self.prepare(&id.0, &id.1, &key);
        let entry = self.prepared.try_get_with_by_ref(&id, prepare).await;
        // What the new keys push out goes now, not with some later request.
        self.prepared.run_pending_tasks().await;
        Ok(Arc::clone(&entry.map_err(Arc::unwrap_or_clone)?.keys))
    }

    async fn prepare(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        key: &Key,
    ) -> Result<Arc<Entry>, InferenceError> {
        let _one_at_a_time = self.preparing.lock().await;
        let begun = std::time::Instant::now();
        let material = self.directory.fetch_evaluation(tenant, key_id, key, MAX_KEY_BYTES).await?;
        let (directory, key) = (self.directory.clone(), key.clone());
        let expand = move || {
            directory.verify(&key, &material)?;
            let keys = EvaluationKeys::from_bytes(&material, OneShotProfile::default())?;
            drop(material);
            let keys = Arc::new(PreparedKeys::new(&keys));
            Ok::<_, InferenceError>(Arc::new(Entry { fingerprint: key.fingerprint, keys }))
        };
        let entry = self.compute.run(expand).await??;
        let (bytes, millis) = (entry.keys.bytes(), begun.elapsed().as_millis());
        tracing::info!(%key_id, entry.fingerprint, bytes, millis, "evaluation keys loaded");
        Ok(entry)
    }
}
