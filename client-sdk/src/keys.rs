//! Registration of keys in the key vault.

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use sphinx_proto::conversion::{key_kind, parameter_set};
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{
    self, ExchangeKeysRequest, GetKeyRequest, KeyHeader, ListKeysRequest, ParameterSet,
    exchange_keys_request::Part,
};
use sphinx_proto::{ConversionError, Fingerprint, KeyId};
use sphinx_secret::{PublicMaterial, SecretKey};

use crate::client::SphinxClient;
use crate::error::ClientError;

/// Bytes of material per message.
const CHUNK: usize = 512 << 10;

/// What is registered of a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The public key, which models are bound to.
    Public,
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
            v1::KeyKind::PublicEncryption | v1::KeyKind::Unspecified => KeyKind::Public,
        };
        Ok(Self {
            key_id: KeyId::parse(key.key_id)?,
            kind,
            fingerprint: key.fingerprint,
            material_bytes: key.material_bytes,
            description: key.description,
            created_unix_seconds: key.created_unix_seconds,
        })
    }
}

impl SphinxClient {
    /// Registers fresh public material of `key` under `key_id`: once only, since other material of
    /// the same key is another registration. Keep the material and use
    /// [`SphinxClient::register_material`] to be able to repeat it.
    ///
    /// # Errors
    /// As [`SphinxClient::register_material`].
    pub async fn register_key(
        &self,
        key_id: &KeyId,
        key: &SecretKey,
        description: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<KeyReceipt, ClientError> {
        self.register_material(key_id, &key.public_material(rng), description).await
    }

    /// Registers public material under `key_id`. Registering the same again changes nothing.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with ALREADY_EXISTS if other
    /// material is registered under the id;
    /// [`ChannelError::Protocol`](crate::ChannelError::Protocol) if the receipt's fingerprint is
    /// not that of what was sent.
    pub async fn register_material(
        &self,
        key_id: &KeyId,
        material: &PublicMaterial,
        description: &str,
    ) -> Result<KeyReceipt, ClientError> {
        let material = &material.bytes;
        let (parameter_set, kind) = (ParameterSet::Glwe2048V1, v1::KeyKind::PublicEncryption);
        let header = KeyHeader {
            key_id: key_id.to_string(),
            parameter_set: parameter_set.into(),
            kind: kind.into(),
            material_bytes: material.len() as u64,
            material_sha256: Sha256::digest(material).to_vec().into(),
            description: description.to_owned(),
            offset: 0,
        };
        let fingerprint = Fingerprint::new(parameter_set, kind, material);
        let chunks = material.chunks(CHUNK).map(|chunk| Part::Chunk(chunk.to_vec().into()));
        let parts: Vec<_> = std::iter::once(Part::Header(header))
            .chain(chunks)
            .map(|part| ExchangeKeysRequest { part: Some(part) })
            .collect();
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
