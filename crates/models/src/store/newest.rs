//! Which version of a model is the newest: a hint, and probes from there.
//!
//! Say that version N was found, then N + 1 was not, then N was found again. By the first rule of
//! [`super`] nobody had removed N + 1 when it was missing, so N was the newest at that moment. The
//! version below is looked for as well: where it is missing, N is not of the run but of a writer
//! that slept and has yet to take it back.
//!
//! If the hint leads nowhere the folder is listed: once per look until the next commit, which
//! writes a new one. Readers write none, so that they need no right to.

use futures::try_join;
use sphinx_objects::record::{seal, unseal};
use sphinx_objects::{Found, ObjectError};

use super::{ModelStore, numbers};
use crate::layout;
use crate::model::{HeadRecord, ModelMeta};

impl ModelStore {
    /// The newest version and its object; `None` when the model has none.
    pub(super) async fn newest(
        &self,
        meta: &ModelMeta,
    ) -> Result<Option<(u64, Found)>, ObjectError> {
        if let Some(hint) = self.hint(meta).await
            && let Some(newest) = self.climb(meta, hint).await?
        {
            return Ok(Some(newest));
        }
        // Again if the newest was pruned between listing and looking.
        loop {
            let entries = self.objects.list(&layout::versions(meta)).await?;
            let last = numbers(&entries, layout::parse_version).last().copied();
            let Some(last) = last else { return Ok(None) };
            if let Some(found) = self.objects.find(&layout::version(meta, last)).await? {
                return Ok(Some((last, found)));
            }
        }
    }

    /// Notes that a version is the newest. Without a hint, or with an old one, everything goes on.
    pub(super) async fn hint_at(&self, meta: &ModelMeta, version: u64) {
        let record = seal(&HeadRecord { version });
        if let Err(error) = self.objects.replace(&layout::head(meta), record).await {
            tracing::warn!(%error, "cannot note the newest version");
        }
    }

    async fn hint(&self, meta: &ModelMeta) -> Option<u64> {
        let path = layout::head(meta);
        let stored = match self.objects.get(&path).await {
            Ok(stored) => {
                unseal::<HeadRecord>(stored?).map_err(|cause| super::damaged(&path, cause))
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(record) => Some(record.version),
            Err(error) => {
                tracing::warn!(%error, "cannot read which version is the newest");
                None
            }
        }
    }

    /// The newest version, if `from` is one of the run.
    async fn climb(
        &self,
        meta: &ModelMeta,
        from: u64,
    ) -> Result<Option<(u64, Found)>, ObjectError> {
        let find = async |version| self.objects.find(&layout::version(meta, version)).await;
        let mut newest = from;
        while let Some(next) = newest.checked_add(1)
            && find(next).await?.is_some()
        {
            newest = next;
        }
        // Only now, after the one above was missing.
        let Some(below) = newest.checked_sub(1) else {
            return Ok(find(newest).await?.map(|found| (newest, found)));
        };
        let (found, below) = try_join!(find(newest), find(below))?;
        Ok(below.and(found).map(|found| (newest, found)))
    }
}
