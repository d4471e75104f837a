//! Which key to use, and whether the services know it.

use crate::KeyId;
use crate::workspace::{Workspace, WorkspaceError, public_fingerprint};

impl Workspace {
    /// The key asked for, or the only one there is.
    ///
    /// # Errors
    /// [`WorkspaceError::NoKey`] and [`WorkspaceError::WhichKey`] if there is none or several.
    pub fn choose_key(&self, asked: Option<&KeyId>) -> Result<KeyId, WorkspaceError> {
        if let Some(id) = asked {
            return Ok(id.clone());
        }
        let mut ids = self.home.key_ids()?;
        match ids.len() {
            0 => Err(WorkspaceError::NoKey),
            1 => Ok(ids.remove(0)),
            _ => Err(WorkspaceError::WhichKey { ids: ids.iter().map(KeyId::to_string).collect() }),
        }
    }

    /// Makes sure that the key vault has what belongs to this key: a model bound to anything else could
    /// not be decrypted.
    ///
    /// # Errors
    /// [`WorkspaceError::NotRegistered`], [`WorkspaceError::OtherMaterial`].
    pub async fn check_registration(&self, key_id: &KeyId) -> Result<(), WorkspaceError> {
        let id = key_id.to_string();
        let expected = public_fingerprint(&self.home.material(key_id)?).to_string();
        match self.client.key(key_id).await {
            Ok(key) if key.fingerprint == expected => Ok(()),
            Ok(key) => Err(WorkspaceError::OtherMaterial { id, got: key.fingerprint, expected }),
            Err(error) if error.is_not_found() => Err(WorkspaceError::NotRegistered { id }),
            Err(error) => Err(error.into()),
        }
    }
}
