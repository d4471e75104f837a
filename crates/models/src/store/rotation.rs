//! A model under another key.

use sphinx_objects::Put;
use sphinx_objects::record::seal;
use sphinx_proto::KeyId;

use super::{Committed, ModelStore, encoded};
use crate::error::StoreError;
use crate::layout;
use crate::model::{MetaRecord, ModelMeta, ModelVersion};

impl ModelStore {
    /// Stores `next`, which no step made, and notes `key` as the model's from then on. The same
    /// again (the same chain) changes nothing but what a crash left undone.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the model is elsewhere, [`StoreError::NoModel`] when it was
    /// deleted.
    pub async fn rotate(
        &self,
        meta: &ModelMeta,
        next: ModelVersion,
        key: &KeyId,
    ) -> Result<Committed, StoreError> {
        let (version, chain) = (next.version, next.hashes.chain);
        let mut committed = Committed { version, repeated: true };
        if let Some(base) = self.base_of(meta, version, false).await? {
            let object = encoded(next).await?;
            if self.objects.create(&layout::version(meta, version), object).await? == Put::Stored {
                committed = self.settle(meta, version, base).await?;
            }
        }
        let stored = match self.load(meta, Some(version)).await {
            Ok(stored) => Some(stored.hashes.chain),
            Err(StoreError::NoVersion { .. }) => None,
            Err(error) => return Err(error),
        };
        if stored != Some(chain) {
            let base = version.saturating_sub(1);
            let (model, head) = (meta.model_id.clone(), self.head(meta).await?);
            return Err(StoreError::Conflict { model, base, head });
        }
        // After the version: a crash between leaves a model whose key is still the old one, and the
        // same request goes on from there.
        let moved = ModelMeta { key_id: key.clone(), ..meta.clone() };
        let path = layout::meta(&meta.tenant, &meta.model_id);
        self.objects.replace(&path, seal(&MetaRecord::from(&moved))).await?;
        Ok(committed)
    }
}
