//! Which versions there are.

use super::ModelStore;
use crate::error::StoreError;
use crate::model::ModelMeta;

impl ModelStore {
    /// The numbers of the versions that are kept, ascending.
    ///
    /// # Errors
    /// [`StoreError::NoModel`] when the model was deleted.
    pub async fn kept(&self, meta: &ModelMeta) -> Result<Vec<u64>, StoreError> {
        let kept = self.versions(meta).await?;
        if kept.is_empty() {
            return Err(StoreError::NoModel { model: meta.model_id.clone() });
        }
        Ok(kept)
    }
}
