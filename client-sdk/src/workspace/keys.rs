//! Keys: made, chosen, registered.

use std::path::Path;

use sphinx_evaluation_keys::OneShotProfile;
use sphinx_secret::{ModelName, Passphrase, ReadKey, RootKey};

use crate::error::ClientError;
use crate::evaluation_keys::EvaluationReceipt;
use crate::keys::{KeyReceipt, RegisteredKey, identity_fingerprint};
use crate::secure_rng;
use crate::workspace::{Workspace, WorkspaceError};
use crate::{KeyId, ModelId};

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

    /// Makes a key, sealed if there is a passphrase; without an id it is named by its fingerprint.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::save_key`].
    pub fn make_key(
        &self,
        id: Option<KeyId>,
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyId, WorkspaceError> {
        let root = RootKey::generate(&mut secure_rng());
        let id = match id {
            Some(id) => id,
            None => {
                let print = identity_fingerprint(&root.identity()).to_string();
                let digits: String = print.chars().take(NAME_DIGITS).collect();
                KeyId::parse(format!("key-{digits}")).map_err(ClientError::from)?
            }
        };
        self.home.save_key(&id, &root, passphrase)?;
        Ok(id)
    }

    /// Makes evaluation keys of a secret key and keeps them; never over others. About 20 MB, or 0.4
    /// MB of the profile `packing`, which is enough for linear networks.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::key`] and [`crate::workspace::Home::make_evaluation_keys`].
    pub fn make_evaluation_keys(
        &self,
        id: &KeyId,
        profile: OneShotProfile,
    ) -> Result<Vec<u8>, WorkspaceError> {
        self.home.make_evaluation_keys(id, (&self.home.key(id)?, profile), &mut secure_rng())
    }

    /// Registers the identity of a key. A second time changes nothing.
    ///
    /// # Errors
    /// As [`crate::workspace::Home::identity`] and [`crate::SphinxClient::register_key`].
    pub async fn register_key(
        &self,
        id: &KeyId,
        description: &str,
    ) -> Result<KeyReceipt, WorkspaceError> {
        let identity = self.home.identity(id)?;
        Ok(self.client.register_key(id, &identity, description).await?)
    }

    /// Revokes a key for good, whether its root is here or not.
    ///
    /// # Errors
    /// [`WorkspaceError::NotRegistered`]; others as [`crate::SphinxClient::revoke_key`].
    pub async fn revoke_key(&self, id: &KeyId) -> Result<RegisteredKey, WorkspaceError> {
        match self.client.revoke_key(id).await {
            Ok(key) => Ok(key),
            Err(error) if error.is_not_found() => {
                Err(WorkspaceError::NotRegistered { id: id.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The read key of a model: what a device or a colleague needs who only predicts with it.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if neither the model's key nor an imported read key is here;
    /// [`WorkspaceError::Client`] if there is no such model.
    pub async fn read_key(&self, model_id: &ModelId) -> Result<ReadKey, WorkspaceError> {
        Ok(self.keys_of(model_id).await?.1)
    }

    /// The key of a model as the service names it, and the read key.
    pub(super) async fn keys_of(
        &self,
        model_id: &ModelId,
    ) -> Result<(KeyId, ReadKey), WorkspaceError> {
        let described = self.client.served_model(model_id).await?;
        let name = ModelName {
            tenant: self.tenant.to_string(),
            model: model_id.to_string(),
            incarnation: described.incarnation,
        };
        match self.home.root(&described.key_id) {
            Ok(root) => Ok((described.key_id, root.read_key(&name))),
            Err(missing @ WorkspaceError::NoSecret { .. }) => {
                let imported = self.home.imported_read_key(&self.tenant, model_id)?;
                let imported = imported.filter(|key| *key.model() == name).ok_or(missing)?;
                Ok((described.key_id, imported))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a read key that the owner of a model exported: recognition then works here without the
    /// owner's key. Returns the model.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] if the file holds no read key or cannot be kept;
    /// [`WorkspaceError::OtherTenant`] for a model of another tenant.
    pub fn import_read_key(&self, path: &Path) -> Result<ModelId, WorkspaceError> {
        let key = ReadKey::load(path).map_err(ClientError::from)?;
        let (got, expected) = (key.model().tenant.clone(), self.tenant.to_string());
        if got != expected {
            return Err(WorkspaceError::OtherTenant { got, expected });
        }
        self.home.keep_read_key(&key)
    }

    /// Writes the read key of a model to a new file, readable by its owner only, and returns the
    /// model that it is for.
    ///
    /// # Errors
    /// As [`Workspace::read_key`]; [`WorkspaceError::Client`] if the file cannot be written or
    /// exists.
    pub async fn export_read_key(
        &self,
        model_id: &ModelId,
        path: &Path,
    ) -> Result<ModelName, WorkspaceError> {
        let key = self.read_key(model_id).await?;
        key.save(path).map_err(ClientError::from)?;
        Ok(key.model().clone())
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

    /// Makes sure that the key vault knows this key and serves it. What the key vault returns is
    /// compared, never decrypted.
    ///
    /// # Errors
    /// [`WorkspaceError::NotRegistered`], [`WorkspaceError::OtherIdentity`],
    /// [`WorkspaceError::Revoked`].
    pub async fn check_registration(&self, key_id: &KeyId) -> Result<(), WorkspaceError> {
        let id = key_id.to_string();
        let expected = self.home.fingerprint(key_id)?.to_string();
        match self.client.key(key_id).await {
            Ok(key) if key.fingerprint != expected => {
                Err(WorkspaceError::OtherIdentity { id, got: key.fingerprint, expected })
            }
            Ok(key) if key.revoked_unix_seconds.is_some() => Err(WorkspaceError::Revoked { id }),
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Err(WorkspaceError::NotRegistered { id }),
            Err(error) => Err(error.into()),
        }
    }
}
