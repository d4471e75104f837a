//! From a complete upload to a registered key, and back.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use sphinx_objects::record::seal;
use sphinx_objects::{ObjectError, Put};
use sphinx_proto::v1::KeyKind;
use sphinx_proto::{KeyId, TenantId};

use crate::error::VaultError;
use crate::layout::{self, Entry, KeyRecord};
use crate::material::Announcement;
use crate::vault::{Registered, Vault, same};

const KIND: KeyKind = KeyKind::Evaluation;

/// Longest pause between two sweeps of unfinished uploads.
const SWEEP_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Vault {
    /// Whether evaluation keys may come: the id is free or holds the same material, and there is
    /// room.
    pub(crate) async fn admit(
        &self,
        tenant: &TenantId,
        announced: &Announcement,
        sha256: &str,
    ) -> Result<(), VaultError> {
        // No upload loses its parts between the last look at them and its registration.
        let _one_at_a_time = self.registering.lock().await;
        self.refuse_revoked(tenant, &announced.key_id).await?;
        if let Some(stored) = self.find(tenant, KIND, &announced.key_id).await? {
            if stored.material_sha256 != sha256 {
                return Err(VaultError::Taken { key_id: announced.key_id.clone() });
            }
        } else {
            self.room_for_a_key(tenant).await?;
        }
        let registered = self.registered_materials(tenant).await?;
        let (uploads, max_age) = (self.limits().max_uploads as usize, self.max_upload_age());
        Ok(self.parts.make_room(tenant, &registered, Some(sha256), uploads, max_age).await?)
    }

    /// Checks the parts of a complete upload and registers the key. Material that is not evaluation
    /// keys is removed.
    pub(crate) async fn register_evaluation(
        &self,
        tenant: &TenantId,
        announced: &Announcement,
        sha256: &str,
        now_unix_seconds: i64,
    ) -> Result<Registered, VaultError> {
        let checked = self.checks.run(&self.parts, tenant, announced, sha256).await;
        let _one_at_a_time = self.registering.lock().await;
        let fingerprint = match checked {
            Ok(fingerprint) => fingerprint,
            Err(error) => {
                if !self.registered_materials(tenant).await?.contains(sha256) {
                    self.parts.remove(tenant, sha256).await?;
                }
                return Err(error);
            }
        };
        let record = KeyRecord {
            key_id: announced.key_id.to_string(),
            parameter_set: announced.parameter_set.into(),
            kind: KIND.into(),
            material_bytes: announced.material_bytes,
            fingerprint: fingerprint.to_string(),
            description: announced.description.clone(),
            created_unix_seconds: now_unix_seconds,
            material_sha256: sha256.to_owned(),
            identity: Bytes::new(),
        };
        let key_id = announced.key_id.clone();
        self.refuse_revoked(tenant, &key_id).await?;
        if let Some(stored) = self.find(tenant, KIND, &key_id).await? {
            return same(key_id, stored, &record);
        }
        self.room_for_a_key(tenant).await?;
        let stored = self.parts.stored_bytes(tenant, sha256, announced.material_bytes).await?;
        if stored != announced.material_bytes {
            return Err(VaultError::Removed { key_id });
        }
        match self.objects.create(&layout::key(tenant, KIND, &key_id), seal(&record)).await? {
            Put::Stored => Ok(Registered { key: record, already: false }),
            // Another replica was faster.
            Put::Exists => {
                let stored = self.find(tenant, KIND, &key_id).await?;
                let stored = stored.ok_or_else(|| VaultError::NoKey { key_id: key_id.clone() })?;
                same(key_id, stored, &record)
            }
        }
    }

    /// Removes evaluation keys: first the description, by which they exist, then the material
    /// unless another id of the tenant has it too.
    pub(crate) async fn delete_evaluation(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<Entry, VaultError> {
        let _one_at_a_time = self.registering.lock().await;
        let entry = self.get(tenant, KIND, key_id).await?;
        let record = &entry.record;
        self.objects.delete(&layout::key(tenant, KIND, key_id)).await?;
        if !self.registered_materials(tenant).await?.contains(&record.material_sha256) {
            self.parts.remove(tenant, &record.material_sha256).await?;
        }
        Ok(entry)
    }

    /// Removes what unfinished uploads of all tenants left too long ago. A tenant whose keys cannot
    /// be read keeps everything, since any part may belong to one of them.
    pub(crate) async fn sweep(&self) -> Result<(), ObjectError> {
        for tenant in self.parts.tenants().await? {
            if let Err(error) = self.sweep_tenant(&tenant).await {
                tracing::error!(%tenant, %error, "unfinished uploads of this tenant stay");
            }
        }
        Ok(())
    }

    /// Sweeps again and again.
    pub(crate) async fn keep_sweeping(&self) -> Infallible {
        // Short ages, as in tests, are kept too.
        let pause = self.max_upload_age().min(SWEEP_PAUSE);
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "unfinished uploads stay");
            }
        }
    }

    async fn sweep_tenant(&self, tenant: &TenantId) -> Result<(), ObjectError> {
        let _one_at_a_time = self.registering.lock().await;
        let registered = self.registered_materials(tenant).await?;
        self.parts.make_room(tenant, &registered, None, usize::MAX, self.max_upload_age()).await
    }

    fn max_upload_age(&self) -> Duration {
        Duration::from_secs(self.limits().max_upload_age_seconds)
    }

    async fn room_for_a_key(&self, tenant: &TenantId) -> Result<(), VaultError> {
        let limit = self.limits().max_evaluation_keys;
        if self.objects.list(&layout::keys(tenant, KIND)).await?.len() < limit as usize {
            Ok(())
        } else {
            Err(VaultError::TooManyKeys { limit })
        }
    }

    async fn registered_materials(
        &self,
        tenant: &TenantId,
    ) -> Result<HashSet<String>, ObjectError> {
        let keys = self.list_kind(tenant, KIND).await?;
        Ok(keys.into_iter().map(|key| key.material_sha256).collect())
    }
}

#[cfg(test)]
mod tests {
    use sphinx_proto::v1::ParameterSet;
    use sphinx_runtime::Compute;

    use super::*;
    use crate::config::VaultLimits;

    #[tokio::test]
    async fn an_upload_about_to_be_registered_keeps_its_parts_until_then() {
        let dir = tempfile::tempdir().unwrap();
        let limits = VaultLimits { max_uploads: 1, ..VaultLimits::default() };
        let location = dir.path().to_str().unwrap();
        let vault = Vault::open(location, limits, Compute::new(1).unwrap()).unwrap();
        let (tenant, first, second) = (TenantId::default(), "11".repeat(32), "22".repeat(32));
        vault.parts.store(&tenant, &first, 0, Bytes::from_static(b"part")).await.unwrap();
        let announced = Announcement {
            key_id: KeyId::parse("laptop").unwrap(),
            parameter_set: ParameterSet::Glwe2048V1,
            kind: KIND,
            material_bytes: 4,
            sha256: [0x22; 32],
            description: String::new(),
            offset: 0,
        };
        let registering = vault.registering.lock().await;
        let (other, of) = (vault.clone(), tenant.clone());
        let admitted = tokio::spawn(async move { other.admit(&of, &announced, &second).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(vault.parts.stored_bytes(&tenant, &first, 4).await.unwrap(), 4);
        drop(registering);
        admitted.await.unwrap().unwrap();
        assert_eq!(vault.parts.stored_bytes(&tenant, &first, 4).await.unwrap(), 0);
    }
}
