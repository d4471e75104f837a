//! Keys: made, chosen, registered.

use sphinx_secret::SecretKey;

use crate::KeyId;
use crate::error::ClientError;
use crate::evaluation_keys::EvaluationReceipt;
use crate::keys::KeyReceipt;
use crate::secure_rng;
use crate::workspace::{Workspace, WorkspaceError, public_fingerprint};

/// Digits of the fingerprint in the name of a key that was given none.
const NAME_DIGITS: usize = 12;

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

    /// Makes a secret key with its public material; without an id it is named by its fingerprint.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::save_key`].
    pub fn make_key(&self, id: Option<KeyId>) -> Result<KeyId, WorkspaceError> {
        let mut rng = secure_rng();
        let key = SecretKey::generate(&mut rng).map_err(ClientError::from)?;
        let material = key.public_material(&mut rng);
        let id = match id {
            Some(id) => id,
            None => {
                let print = public_fingerprint(&material).to_string();
                let digits: String = print.chars().take(NAME_DIGITS).collect();
                KeyId::parse(format!("key-{digits}")).map_err(ClientError::from)?
            }
        };
        self.home.save_key(&id, &key, &material)?;
        Ok(id)
    }

    /// Makes evaluation keys of a secret key and keeps them; never over others. About 20 MB.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::key`] and [`crate::workspace::Home::make_evaluation_keys`].
    pub fn make_evaluation_keys(&self, id: &KeyId) -> Result<Vec<u8>, WorkspaceError> {
        self.home.make_evaluation_keys(id, &self.home.key(id)?, &mut secure_rng())
    }

    /// Registers the public part of a key. A second time changes nothing.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::material`] and [`crate::SphinxClient::register_material`].
    pub async fn register_key(
        &self,
        id: &KeyId,
        description: &str,
    ) -> Result<KeyReceipt, WorkspaceError> {
        let material = self.home.material(id)?;
        Ok(self.client.register_material(id, &material, description).await?)
    }

    /// Registers the evaluation keys of a key, if there are any here. A second time sends nothing.
    ///
    /// # Errors
    /// As [`crate::SphinxClient::register_evaluation_keys`]; [`WorkspaceError::File`].
    pub async fn register_evaluation_keys(
        &self,
        id: &KeyId,
        description: &str,
    ) -> Result<Option<EvaluationReceipt>, WorkspaceError> {
        let Some(material) = self.home.evaluation_keys(id)? else { return Ok(None) };
        let material = material.into();
        Ok(Some(self.client.register_evaluation_keys(id, &material, description).await?))
    }

    /// Makes sure that the key vault has what belongs to this key: a model bound to anything else
    /// could not be decrypted.
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
