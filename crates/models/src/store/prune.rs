//! Removes versions that [`crate::Retention`] does not keep, from the lowest upwards, so that the
//! names of those that stay are one run ([`super`]).
//!
//! Which versions have to go follows from their numbers. Only when one of them is what a session
//! began at, once per session, the folder is listed: to see how many such versions are kept.

use sphinx_objects::ObjectError;

use super::{ModelStore, numbers};
use crate::layout;
use crate::model::ModelMeta;

impl ModelStore {
    /// Prunes after the commit of `head`. A version is removed only after the one below it is gone;
    /// whatever fails is left to a later commit.
    pub(super) async fn prune(&self, meta: &ModelMeta, head: u64) -> Result<(), ObjectError> {
        let oldest = self.retention.oldest(head);
        let mut lowest = oldest;
        while let Some(lower) = lowest.checked_sub(1)
            && self.objects.find(&layout::version(meta, lower)).await?.is_some()
        {
            lowest = lower;
        }
        for old in lowest..oldest {
            if self.objects.find(&layout::beginning(meta, old)).await?.is_some() {
                return self.prune_listed(meta, head).await;
            }
            self.remove(meta, old).await?;
        }
        Ok(())
    }

    /// Prunes whatever the folder holds.
    async fn prune_listed(&self, meta: &ModelMeta, head: u64) -> Result<(), ObjectError> {
        let entries = self.objects.list(&layout::versions(meta)).await?;
        let (named, kept) =
            (numbers(&entries, layout::parse_version), numbers(&entries, layout::parse_kept));
        let beginnings = numbers(&entries, layout::parse_beginning);
        let surplus = |versions: &[u64]| self.retention.surplus(head, versions, &beginnings);
        let oldest = self.retention.oldest(head);
        let removed = surplus(&named).versions;
        for old in named.into_iter().filter(|version| *version < oldest) {
            if !removed.contains(&old) {
                self.objects.copy(&layout::version(meta, old), &layout::kept(meta, old)).await?;
                self.objects.delete(&layout::version(meta, old)).await?;
            } else {
                self.remove(meta, old).await?;
            }
        }
        let surplus = surplus(&kept);
        for old in surplus.versions {
            self.objects.delete(&layout::kept(meta, old)).await?;
            self.objects.delete(&layout::biases(meta, old)).await?;
        }
        for old in surplus.beginnings {
            self.objects.delete(&layout::beginning(meta, old)).await?;
        }
        Ok(())
    }

    async fn remove(&self, meta: &ModelMeta, version: u64) -> Result<(), ObjectError> {
        self.objects.delete(&layout::version(meta, version)).await?;
        self.objects.delete(&layout::biases(meta, version)).await
    }
}
