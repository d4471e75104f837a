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
use crate::layout::{self, KeyRecord, MaterialRecord};
use crate::material::CheckedKey;

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

    /// Stores a key durably: first its material, then its description, by which it exists.
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
        };
        let _one_at_a_time = self.registering.lock().await;
        if let Some(stored) = self.find(tenant, kind, &key_id).await? {
            return same(key_id, stored, &record);
        }
        let keys = self.objects.list(&layout::keys(tenant, kind)).await?.len();
        if keys >= self.limits.max_keys as usize {
            return Err(VaultError::TooManyKeys { limit: self.limits.max_keys });
        }
        // Replaces what a crash between the two writes left: the same bytes, by their name.
        let path = layout::material(tenant, &record.fingerprint);
        self.objects.replace(&path, seal(&MaterialRecord { material })).await?;
        match self.objects.create(&layout::key(tenant, kind, &key_id), seal(&record)).await? {
            Put::Stored => Ok(Registered { key: record, already: false }),
            // Another replica was faster.
            Put::Exists => {
                let stored = self.find(tenant, kind, &key_id).await?;
                let stored = stored.ok_or_else(|| VaultError::NoKey { key_id: key_id.clone() })?;
                same(key_id, stored, &record)
            }
        }
    }

    /// One key.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        kind: KeyKind,
        key_id: &KeyId,
    ) -> Result<KeyRecord, VaultError> {
        let found = self.find(tenant, kind, key_id).await?;
        found.ok_or_else(|| VaultError::NoKey { key_id: key_id.clone() })
    }

    /// The tenant's keys by id, public ones before evaluation keys.
    pub(crate) async fn list(&self, tenant: &TenantId) -> Result<Vec<KeyRecord>, VaultError> {
        let mut keys = self.list_kind(tenant, KeyKind::PublicEncryption).await?;
        keys.extend(self.list_kind(tenant, KeyKind::Evaluation).await?);
        keys.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        Ok(keys)
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
