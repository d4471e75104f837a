//! Parts of material on disk, named by the SHA-256 of the whole.
//!
//! A part is written once and never changed. Parts that no registered key names are an unfinished
//! upload.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use sphinx_objects::record::{seal, unseal};
use sphinx_objects::{ObjectError, Objects};
use sphinx_proto::TenantId;
use sphinx_runtime::unix_seconds;

use crate::evaluation::part_count;
use crate::layout::{self, PartRecord};

/// Bytes of every part but the last.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// The parts of all tenants. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    objects: Objects,
}

/// The parts of one material.
#[derive(Debug, Default)]
struct Stored {
    numbers: Vec<usize>,
    newest_unix_seconds: i64,
}

impl Parts {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects }
    }

    /// Bytes of a material that are there from its start without a gap.
    pub(crate) async fn stored_bytes(
        &self,
        tenant: &TenantId,
        sha256: &str,
        material_bytes: u64,
    ) -> Result<u64, ObjectError> {
        let stored = self.stored(tenant).await?.remove(sha256).unwrap_or_default();
        let mut numbers = stored.numbers;
        numbers.sort_unstable();
        let whole = numbers.iter().enumerate().take_while(|(index, number)| index == *number);
        let whole = whole.count().min(part_count(material_bytes));
        Ok((whole as u64 * PART_BYTES as u64).min(material_bytes))
    }

    /// Stores a part unless it is there.
    pub(crate) async fn store(
        &self,
        tenant: &TenantId,
        sha256: &str,
        number: usize,
        bytes: Bytes,
    ) -> Result<(), ObjectError> {
        let path = layout::part(tenant, sha256, number);
        self.objects.create(&path, seal(&PartRecord { bytes })).await.map(|_| ())
    }

    /// A part; `None` when it is not there.
    pub(crate) async fn read(
        &self,
        tenant: &TenantId,
        sha256: &str,
        number: usize,
    ) -> Result<Option<Bytes>, ObjectError> {
        let path = layout::part(tenant, sha256, number);
        let Some(object) = self.objects.get(&path).await? else { return Ok(None) };
        let damaged = |cause| ObjectError::Damaged { path: path.to_string(), cause };
        unseal::<PartRecord>(object).map(|part| Some(part.bytes)).map_err(damaged)
    }

    /// Removes all parts of a material.
    pub(crate) async fn remove(&self, tenant: &TenantId, sha256: &str) -> Result<(), ObjectError> {
        let stored = self.stored(tenant).await?.remove(sha256).unwrap_or_default();
        self.remove_numbers(tenant, sha256, &stored.numbers).await
    }

    /// Removes unfinished uploads that are older than `max_age`, and the oldest of the others until
    /// a new one, of the material `wanted`, leaves at most `max_uploads`.
    pub(crate) async fn make_room(
        &self,
        tenant: &TenantId,
        registered: &HashSet<String>,
        wanted: Option<&str>,
        max_uploads: usize,
        max_age: Duration,
    ) -> Result<(), ObjectError> {
        let stored = self.stored(tenant).await?;
        let mut unfinished: Vec<_> = stored
            .into_iter()
            .filter(|(sha256, _)| !registered.contains(sha256) && Some(sha256.as_str()) != wanted)
            .collect();
        unfinished.sort_by_key(|(_, stored)| stored.newest_unix_seconds);
        let age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        let oldest = unix_seconds().saturating_sub(age);
        let room = max_uploads.saturating_sub(usize::from(wanted.is_some()));
        let surplus = unfinished.len().saturating_sub(room);
        for (index, (sha256, stored)) in unfinished.into_iter().enumerate() {
            if index < surplus || stored.newest_unix_seconds < oldest {
                tracing::info!(sha256, parts = stored.numbers.len(), "unfinished upload removed");
                self.remove_numbers(tenant, &sha256, &stored.numbers).await?;
            }
        }
        Ok(())
    }

    /// The tenants that have parts.
    pub(crate) async fn tenants(&self) -> Result<Vec<TenantId>, ObjectError> {
        let names = self.objects.folders(&layout::all_parts()).await?;
        Ok(names.into_iter().filter_map(|name| TenantId::parse(name).ok()).collect())
    }

    async fn remove_numbers(
        &self,
        tenant: &TenantId,
        sha256: &str,
        numbers: &[usize],
    ) -> Result<(), ObjectError> {
        for &number in numbers {
            self.objects.delete(&layout::part(tenant, sha256, number)).await?;
        }
        Ok(())
    }

    async fn stored(&self, tenant: &TenantId) -> Result<BTreeMap<String, Stored>, ObjectError> {
        let mut materials: BTreeMap<String, Stored> = BTreeMap::new();
        for entry in self.objects.list(&layout::parts(tenant)).await? {
            // A file of another name is not a part.
            let Some((sha256, number)) = layout::parse_part(&entry.name) else { continue };
            let stored = materials.entry(sha256.to_owned()).or_default();
            stored.numbers.push(number);
            stored.newest_unix_seconds = stored.newest_unix_seconds.max(entry.written_unix_seconds);
        }
        Ok(materials)
    }
}
