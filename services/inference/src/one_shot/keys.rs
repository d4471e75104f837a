//! Evaluation keys of tenants, fetched from the key vault and kept in the form that evaluations
//! read.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use sphinx_bootstrap::PreparedKeys;
use sphinx_channel::{KeyDirectory, KeyDirectoryError};
use sphinx_evaluation_keys::{EvaluationKeys, MAX_KEY_BYTES};
use sphinx_proto::v1::Key;
use sphinx_proto::{KeyId, TenantId};
use sphinx_runtime::{ByteCache, Compute, ComputeError, Metrics};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::InferenceError;

/// Prepared keys, in memory only. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct KeyCache {
    directory: KeyDirectory,
    compute: Compute,
    prepared: ByteCache<KeyVersion, PreparedKeys>,
    /// Held while keys are fetched and expanded, which takes twice their final memory: one at a
    /// time.
    preparing: Arc<Mutex<()>>,
}

/// Whose keys under which id, and which ones: others may have been registered under the id since.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct KeyVersion {
    tenant: TenantId,
    key_id: KeyId,
    fingerprint: String,
}

impl KeyCache {
    /// Keys of at most `max_bytes` in memory, besides those in use.
    pub(crate) fn new(directory: KeyDirectory, compute: Compute, max_bytes: u64) -> Self {
        let prepared = ByteCache::new(max_bytes, PreparedKeys::bytes);
        Self { directory, compute, prepared, preparing: Arc::default() }
    }

    /// Shows how the memory of keys stands.
    pub(crate) fn watched(self, metrics: &Metrics) -> Self {
        Self { prepared: self.prepared.watched(metrics, "evaluation_keys"), ..self }
    }

    /// What is registered now, checked against the fingerprint that a request expects; empty
    /// expects nothing.
    pub(crate) async fn registered(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        fingerprint: &str,
    ) -> Result<Key, InferenceError> {
        let key = match self.directory.evaluation(tenant, key_id).await {
            Ok(key) => key,
            Err(error) => {
                if matches!(
                    error,
                    KeyDirectoryError::NoEvaluation { .. } | KeyDirectoryError::Revoked { .. }
                ) {
                    self.forget(tenant, key_id, None).await;
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

    /// The prepared form of registered keys: from memory, or fetched, checked and expanded.
    /// Requests for the same keys that come meanwhile wait for the same.
    pub(crate) async fn prepared(
        &self,
        tenant: TenantId,
        key_id: KeyId,
        key: Key,
    ) -> Result<Arc<PreparedKeys>, InferenceError> {
        let wanted = KeyVersion { tenant, key_id, fingerprint: key.fingerprint.clone() };
        if let Some(keys) = self.prepared.get(&wanted).await {
            return Ok(keys);
        }
        let prepare = self.prepare(&wanted, key);
        let keys = self.prepared.get_or_make(wanted.clone(), prepare).await;
        if keys.is_ok() {
            // Nobody asks for those that were registered under this id before.
            self.forget(&wanted.tenant, &wanted.key_id, Some(&wanted.fingerprint)).await;
        }
        // What the new keys push out goes now, not with some later request.
        self.prepared.settle().await;
        keys
    }

    /// Drops all keys held under an id but those of one fingerprint. There are few: each has about
    /// 95 MB.
    async fn forget(&self, tenant: &TenantId, key_id: &KeyId, but: Option<&str>) {
        let others = |held: &KeyVersion| {
            held.tenant == *tenant
                && held.key_id == *key_id
                && but.is_none_or(|fingerprint| held.fingerprint != fingerprint)
        };
        self.prepared.forget_all(others).await;
    }

    async fn prepare(&self, wanted: &KeyVersion, key: Key) -> Result<PreparedKeys, InferenceError> {
        let alone = Arc::clone(&self.preparing).lock_owned().await;
        let begun = std::time::Instant::now();
        let KeyVersion { tenant, key_id, fingerprint } = wanted;
        let material = self.directory.fetch_evaluation(tenant, key_id, &key, MAX_KEY_BYTES).await?;
        let directory = self.directory.clone();
        let expand = move || {
            directory.verify(&key, &material)?;
            let keys = EvaluationKeys::from_bytes(&material)?;
            drop(material);
            Ok::<_, InferenceError>(PreparedKeys::new(&keys))
        };
        let keys = run_alone(&self.compute, alone, expand).await??;
        let (bytes, millis) = (keys.bytes(), begun.elapsed().as_millis());
        tracing::info!(%key_id, fingerprint, bytes, millis, "evaluation keys loaded");
        Ok(keys)
    }
}

/// Runs `work` on the pool. It holds the lock to its end: when its request leaves, it goes on and
/// so does its memory.
async fn run_alone<T: Send + 'static>(
    compute: &Compute,
    alone: OwnedMutexGuard<()>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let held = move || {
        let done = work();
        drop(alone);
        done
    };
    compute.run(held).await
}
