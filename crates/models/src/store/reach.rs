//! Whether the objects under the models answer.

use sphinx_proto::{ModelId, TenantId};

use super::ModelStore;
use crate::error::StoreError;

/// No model need have this name; what counts is that there is an answer.
const ASKED_FOR: &str = "readiness";

impl ModelStore {
    /// Whether the store answers now.
    ///
    /// # Errors
    /// [`StoreError::Object`] if it does not.
    pub async fn reach(&self) -> Result<(), StoreError> {
        let Ok(model) = ModelId::parse(ASKED_FOR) else { return Ok(()) };
        match self.meta(&TenantId::default(), &model).await {
            Ok(_) | Err(StoreError::NoModel { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
