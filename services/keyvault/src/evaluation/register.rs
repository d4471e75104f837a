//! From a complete upload to a registered key, and back.

use std::collections::HashSet;

use sphinx_proto::{KeyId, TenantId, v1::KeyKind};
use sphinx_store::{Put, StoreError, record::seal};

use crate::{
    error::VaultError,
    layout::{self, KeyRecord},
    material::Announcement,
    vault::{Registered, Vault, same},
};

const KIND: KeyKind = KeyKind::Evaluation;

impl Vault {
    /// Whether evaluation keys may come: the id is free or holds the same material, and there is room.
    pub(crate) async fn admit(
        &self,
        tenant: &TenantId,
        announced: &Announcement,
        sha256: &str,
    ) -> Result<(), VaultError> {
        if let Some(stored) = self.find(tenant, KIND, &announced.key_id).await? {
            if stored.material_sha256 != sha256 {
                return Err(VaultError::Taken { key_id: announced.key_id.clone() });
            }
        } else {
            self.room_for_a_key(tenant).await?;
        }
        let limits = self.limits();
        let max_age = std::time::Duration::from_secs(limits.max_upload_age_seconds);
        let registered = self.registered_materials(tenant).await?;
        let uploads = limits.max_uploads as usize;
        Ok(self.parts.make_room(tenant, &registered, Some(sha256), uploads, max_age).await?)
    }

    /// Checks the parts of a complete upload and registers the key. Material that is none is removed.
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
        };
        let key_id = announced.key_id.clone();
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

    /// Removes evaluation keys: first the description, by which they exist, then the material unless another id
    /// of the tenant has it too.
    pub(crate) async fn delete_evaluation(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<KeyRecord, VaultError> {
        let _one_at_a_time = self.registering.lock().await;
        let record = self.get(tenant, KIND, key_id).await?;
        self.objects.delete(&layout::key(tenant, KIND, key_id)).await?;
        if !self.registered_materials(tenant).await?.contains(&record.material_sha256) {
            self.parts.remove(tenant, &record.material_sha256).await?;
        }
        Ok(record)
    }

    /// Removes what unfinished uploads of all tenants left too long ago.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let limits = self.limits();
        let max_age = std::time::Duration::from_secs(limits.max_upload_age_seconds);
        for tenant in self.parts.tenants().await? {
            let registered = self.registered_materials(&tenant).await?;
            self.parts.make_room(&tenant, &registered, None, usize::MAX, max_age).await?;
        }
        Ok(())
    }

    async fn room_for_a_key(&self, tenant: &TenantId) -> Result<(), VaultError> {
        let limit = self.limits().max_evaluation_keys;
        if self.objects.list(&layout::keys(tenant, KIND)).await?.len() < limit as usize {
            Ok(())
        } else {
            Err(VaultError::TooManyKeys { limit })
        }
    }

    async fn registered_materials(&self, tenant: &TenantId) -> Result<HashSet<String>, StoreError> {
        let keys = self.list_kind(tenant, KIND).await?;
        Ok(keys.into_iter().map(|key| key.material_sha256).collect())
    }
}
