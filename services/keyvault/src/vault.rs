//! The keys of all tenants.

use std::sync::Arc;

use sphinx_objects::record::{RecordError, seal, unseal};
use sphinx_objects::{ObjectError, Objects, Put};
use sphinx_proto::v1::KeyKind;
use sphinx_proto::{KeyId, TenantId};
use sphinx_runtime::Compute;
use tokio::sync::Mutex;

use crate::config::VaultLimits;
use crate::error::VaultError;
use crate::evaluation::{Checks, Parts};
use crate::layout::{self, Entry, KeyRecord};
use crate::material::CheckedKey;

/// The number that public encryption keys had as a kind.
const EARLIER_KIND: i32 = 1;

/// The keys of all tenants. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    pub(crate) objects: Objects,
    pub(crate) parts: Parts,
    pub(crate) checks: Checks,
    limits: VaultLimits,
    /// Held while counting and adding, so that parallel registrations cannot pass the limit
    /// together. Replicas do not share it: each may pass the limit by what it registers at that
    /// moment.
    pub(crate) registering: Arc<Mutex<()>>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registered {
    pub(crate) key: KeyRecord,
    pub(crate) already: bool,
}

impl Vault {
    pub(crate) fn open(
        location: &str,
        limits: VaultLimits,
        compute: Compute,
    ) -> Result<Self, ObjectError> {
        let objects = Objects::open(location)?;
        let (parts, checks) = (Parts::new(objects.clone()), Checks::new(compute));
        Ok(Self { objects, parts, checks, limits, registering: Arc::default() })
    }

    pub(crate) fn limits(&self) -> &VaultLimits {
        &self.limits
    }

    /// Stores an identity durably. It takes the place of a public encryption key of an earlier
    /// release.
    pub(crate) async fn register(
        &self,
        tenant: &TenantId,
        key: CheckedKey,
        now_unix_seconds: i64,
    ) -> Result<Registered, VaultError> {
        let CheckedKey { key_id, parameter_set, kind, description, fingerprint, material } = key;
        let record = KeyRecord {
            key_id: key_id.to_string(),
            parameter_set: parameter_set.into(),
            kind: kind.into(),
            material_bytes: material.len() as u64,
            fingerprint: fingerprint.to_string(),
            description,
            created_unix_seconds: now_unix_seconds,
            material_sha256: String::new(),
            identity: material,
        };
        let _one_at_a_time = self.registering.lock().await;
        self.refuse_revoked(tenant, &key_id).await?;
        let path = layout::key(tenant, kind, &key_id);
        if let Some(stored) = self.find(tenant, kind, &key_id).await? {
            if !is_earlier(&stored) {
                return same(key_id, stored, &record);
            }
            self.objects.replace(&path, seal(&record)).await?;
            self.objects.delete(&layout::earlier_material(tenant, &stored.fingerprint)).await?;
            return Ok(Registered { key: record, already: false });
        }
        let keys = self.objects.list(&layout::keys(tenant, kind)).await?.len();
        if keys >= self.limits.max_keys as usize {
            return Err(VaultError::TooManyKeys { limit: self.limits.max_keys });
        }
        match self.objects.create(&path, seal(&record)).await? {
            Put::Stored => Ok(Registered { key: record, already: false }),
            // Another replica was faster.
            Put::Exists => {
                let stored = self.find(tenant, kind, &key_id).await?;
                let stored = stored.ok_or_else(|| VaultError::NoKey { key_id: key_id.clone() })?;
                same(key_id, stored, &record)
            }
        }
    }

    /// Whether the store answers now.
    pub(crate) async fn reach(&self) -> Result<(), ObjectError> {
        self.objects.get(&layout::nothing()).await.map(|_| ())
    }

    /// One key.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        kind: KeyKind,
        key_id: &KeyId,
    ) -> Result<Entry, VaultError> {
        let found = self.find(tenant, kind, key_id).await?;
        let record = found.ok_or_else(|| VaultError::NoKey { key_id: key_id.clone() })?;
        if is_earlier(&record) {
            return Err(VaultError::EarlierRelease { key_id: key_id.clone() });
        }
        Ok(self.entry(tenant, key_id, record).await?)
    }

    /// The tenant's keys by id, identities before evaluation keys.
    pub(crate) async fn list(&self, tenant: &TenantId) -> Result<Vec<Entry>, VaultError> {
        let mut keys = self.list_kind(tenant, KeyKind::Identity).await?;
        keys.extend(self.list_kind(tenant, KeyKind::Evaluation).await?);
        keys.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        let mut entries = Vec::new();
        for record in keys.into_iter().filter(|record| !is_earlier(record)) {
            let key_id = KeyId::parse(record.key_id.as_str())?;
            entries.push(self.entry(tenant, &key_id, record).await?);
        }
        Ok(entries)
    }

    /// The tenant's keys of one kind by id.
    pub(crate) async fn list_kind(
        &self,
        tenant: &TenantId,
        kind: KeyKind,
    ) -> Result<Vec<KeyRecord>, ObjectError> {
        let mut keys = Vec::new();
        for entry in self.objects.list(&layout::keys(tenant, kind)).await? {
            // A file of another name does not describe a key.
            let Ok(key_id) = KeyId::parse(entry.name) else { continue };
            keys.extend(self.find(tenant, kind, &key_id).await?);
        }
        Ok(keys)
    }

    /// A stored key with its authorisation.
    pub(crate) async fn entry(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        record: KeyRecord,
    ) -> Result<Entry, ObjectError> {
        let revoked_unix_seconds = self.revoked(tenant, key_id).await?;
        Ok(Entry { record, revoked_unix_seconds })
    }

    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        kind: KeyKind,
        key_id: &KeyId,
    ) -> Result<Option<KeyRecord>, ObjectError> {
        let path = layout::key(tenant, kind, key_id);
        let Some(object) = self.objects.get(&path).await? else { return Ok(None) };
        let damaged = |cause| ObjectError::Damaged { path: path.to_string(), cause };
        let record: KeyRecord = unseal(object).map_err(damaged)?;
        if record.key_id == key_id.as_str() {
            Ok(Some(record))
        } else {
            Err(damaged(RecordError::Message(format!("it describes {}", record.key_id))))
        }
    }
}

/// Whether a record of the identities' folder is a public encryption key of an earlier release.
fn is_earlier(record: &KeyRecord) -> bool {
    record.kind == EARLIER_KIND
}

/// A key that is there already is accepted again if its content is the same.
pub(crate) fn same(
    key_id: KeyId,
    stored: KeyRecord,
    new: &KeyRecord,
) -> Result<Registered, VaultError> {
    // The fingerprint covers parameter set, kind and material.
    if stored.fingerprint == new.fingerprint {
        Ok(Registered { key: stored, already: true })
    } else {
        Err(VaultError::Taken { key_id })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sphinx_proto::Fingerprint;
    use sphinx_proto::v1::ParameterSet;

    use super::*;

    fn identity(key_id: &KeyId) -> CheckedKey {
        let (parameter_set, kind) = (ParameterSet::Glwe2048V1, KeyKind::Identity);
        let material = Bytes::from_static(&[7; 32]);
        let fingerprint = Fingerprint::new(parameter_set, kind, &material);
        let (key_id, description) = (key_id.clone(), String::new());
        CheckedKey { key_id, parameter_set, kind, description, fingerprint, material }
    }

    #[tokio::test]
    async fn an_entry_of_an_earlier_release_is_refused_until_an_identity_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().to_str().unwrap();
        let vault =
            Vault::open(location, VaultLimits::default(), Compute::new(1).unwrap()).unwrap();
        let (tenant, key_id) = (TenantId::default(), KeyId::parse("laptop").unwrap());
        let earlier = KeyRecord {
            key_id: key_id.to_string(),
            parameter_set: 1,
            kind: EARLIER_KIND,
            material_bytes: 16400,
            fingerprint: "ab".repeat(32),
            ..KeyRecord::default()
        };
        let path = layout::key(&tenant, KeyKind::Identity, &key_id);
        let material = layout::earlier_material(&tenant, &earlier.fingerprint);
        vault.objects.create(&path, seal(&earlier)).await.unwrap();
        vault.objects.create(&material, Bytes::from_static(b"material")).await.unwrap();

        let refused = Err(VaultError::EarlierRelease { key_id: key_id.clone() });
        assert_eq!(vault.get(&tenant, KeyKind::Identity, &key_id).await, refused);
        assert_eq!(vault.revoke(&tenant, &key_id, 9).await, refused);
        assert_eq!(vault.list(&tenant).await.unwrap(), []);

        let registered = vault.register(&tenant, identity(&key_id), 5).await.unwrap();
        assert!(!registered.already);
        let entry = vault.get(&tenant, KeyKind::Identity, &key_id).await.unwrap();
        assert_eq!((&entry.record, entry.revoked_unix_seconds), (&registered.key, None));
        assert_eq!(entry.record.identity, [7; 32].as_slice());
        assert_eq!(vault.objects.get(&material).await.unwrap(), None);
        assert!(vault.register(&tenant, identity(&key_id), 6).await.unwrap().already);
    }
}
