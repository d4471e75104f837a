//! Registration of keys in the key vault.

use sha2::{Digest, Sha256};
use sphinx_proto::conversion::{key_kind, parameter_set};
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{
    self, ExchangeKeysRequest, GetKeyRequest, KeyHeader, ListKeysRequest, ParameterSet,
    RevokeKeyRequest, exchange_keys_request::Part,
};
use sphinx_proto::{ConversionError, Fingerprint, KeyId};
use sphinx_secret::Identity;

use crate::client::SphinxClient;
use crate::error::ClientError;

/// What is registered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The identity, which models are bound to.
    Identity,
    /// Evaluation keys, for inference in one shot.
    Evaluation,
}

/// A key in the key vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredKey {
    /// Its name.
    pub key_id: KeyId,
    /// What is registered.
    pub kind: KeyKind,
    /// Of the material, in hexadecimal: to be compared with the one here.
    pub fingerprint: String,
    /// Length of the material.
    pub material_bytes: u64,
    /// The owner's remark.
    pub description: String,
    /// When it was registered, in seconds since 1970-01-01 UTC.
    pub created_unix_seconds: i64,
    /// When it was revoked, in seconds since 1970-01-01 UTC; `None` while it may be used.
    pub revoked_unix_seconds: Option<i64>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReceipt {
    /// What is registered now.
    pub key: RegisteredKey,
    /// Whether it was before.
    pub already_registered: bool,
}

impl TryFrom<v1::Key> for RegisteredKey {
    type Error = ConversionError;

    fn try_from(key: v1::Key) -> Result<Self, ConversionError> {
        parameter_set(key.parameter_set)?;
        let kind = match key_kind(key.kind)? {
            v1::KeyKind::Evaluation => KeyKind::Evaluation,
            v1::KeyKind::Identity | v1::KeyKind::Unspecified => KeyKind::Identity,
        };
        Ok(Self {
            key_id: KeyId::parse(key.key_id)?,
            kind,
            fingerprint: key.fingerprint,
            material_bytes: key.material_bytes,
            description: key.description,
            created_unix_seconds: key.created_unix_seconds,
            revoked_unix_seconds: key.revoked_unix_seconds,
        })
    }
}

/// What people compare between here and the key vault.
pub fn identity_fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::new(ParameterSet::Glwe2048V1, v1::KeyKind::Identity, &identity.0)
}

impl SphinxClient {
    /// Registers an identity under `key_id`, from when on the services serve the key. Registering
    /// the same again changes nothing.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with ALREADY_EXISTS if another
    /// identity is registered under the id, with FAILED_PRECONDITION if the key was revoked;
    /// [`ChannelError::Protocol`](crate::ChannelError::Protocol) if the receipt's fingerprint is
    /// not that of what was sent.
    pub async fn register_key(
        &self,
        key_id: &KeyId,
        identity: &Identity,
        description: &str,
    ) -> Result<KeyReceipt, ClientError> {
        let material = identity.0;
        let (parameter_set, kind) = (ParameterSet::Glwe2048V1, v1::KeyKind::Identity);
        let header = KeyHeader {
            key_id: key_id.to_string(),
            parameter_set: parameter_set.into(),
            kind: kind.into(),
            material_bytes: material.len() as u64,
            material_sha256: Sha256::digest(material).to_vec().into(),
            description: description.to_owned(),
            offset: 0,
        };
        let fingerprint = identity_fingerprint(identity);
        let parts: Vec<_> = [Part::Header(header), Part::Chunk(material.to_vec().into())]
            .map(|part| ExchangeKeysRequest { part: Some(part) })
            .into();
        let receipt = self
            .keyvault
            .call(|channel| {
                let parts = tokio_stream::iter(parts.clone());
                async move { KeyVaultClient::new(channel).exchange_keys(parts).await }
            })
            .await?
            .into_inner();
        let key = self.registered(receipt.key)?;
        if key.fingerprint == fingerprint.to_string() {
            let already_registered = receipt.already_registered;
            Ok(KeyReceipt { key, already_registered })
        } else {
            let expected = format_args!("fingerprint {fingerprint}");
            Err(self.keyvault.protocol(key.fingerprint, expected))
        }
    }

    /// What is registered under `key_id`.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if nothing is.
    pub async fn key(&self, key_id: &KeyId) -> Result<RegisteredKey, ClientError> {
        let reply = self
            .keyvault
            .call(|channel| async move {
                let request = GetKeyRequest { key_id: key_id.to_string(), kind: 0 };
                KeyVaultClient::new(channel).get_key(request).await
            })
            .await?;
        self.registered(reply.into_inner().key)
    }

    /// Revokes what is registered under `key_id`, for good: the services refuse what names it, at
    /// once or within five seconds. A second time changes nothing.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if nothing is
    /// registered.
    pub async fn revoke_key(&self, key_id: &KeyId) -> Result<RegisteredKey, ClientError> {
        let revoke = |channel| async move {
            let request = RevokeKeyRequest { key_id: key_id.to_string() };
            KeyVaultClient::new(channel).revoke_key(request).await
        };
        let reply = self.keyvault.call(revoke).await?;
        self.registered(reply.into_inner().key)
    }

    /// The tenant's keys, by key id.
    ///
    /// # Errors
    /// [`ClientError`] if the key vault does not answer.
    pub async fn list_keys(&self) -> Result<Vec<RegisteredKey>, ClientError> {
        let list = |channel| async move {
            KeyVaultClient::new(channel).list_keys(ListKeysRequest {}).await
        };
        let keys = self.keyvault.call(list).await?.into_inner().keys;
        keys.into_iter().map(|key| self.registered(Some(key))).collect()
    }

    pub(crate) fn registered(&self, key: Option<v1::Key>) -> Result<RegisteredKey, ClientError> {
        let key = key.ok_or_else(|| self.keyvault.protocol("no key", "a key"))?;
        RegisteredKey::try_from(key).map_err(|error| self.keyvault.protocol(error, "a key"))
    }
}
