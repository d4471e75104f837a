//! Registration of keys in the key vault.

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{
    ExchangeKeysRequest, ExchangeKeysResponse, GetKeyRequest, Key, KeyHeader, KeyKind,
    ListKeysRequest, ParameterSet, exchange_keys_request::Part,
};
use sphinx_proto::{Fingerprint, KeyId};
use sphinx_secret::{PublicMaterial, SecretKey};

use crate::client::SphinxClient;
use crate::error::ClientError;

/// Bytes of material per message.
const CHUNK: usize = 512 << 10;

impl SphinxClient {
    /// Registers fresh public material of `key` under `key_id`: once only, since other material of the same key is
    /// another registration. Keep the material and use [`SphinxClient::register_material`] to be able to repeat it.
    ///
    /// # Errors
    /// As [`SphinxClient::register_material`].
    pub async fn register_key(
        &self,
        key_id: &KeyId,
        key: &SecretKey,
        description: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<ExchangeKeysResponse, ClientError> {
        self.register_material(key_id, &key.public_material(rng), description).await
    }

    /// Registers public material under `key_id`. Registering the same again changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with ALREADY_EXISTS if other material is registered under the id;
    /// [`ClientError::Protocol`] if the receipt's fingerprint is not that of what was sent.
    pub async fn register_material(
        &self,
        key_id: &KeyId,
        material: &PublicMaterial,
        description: &str,
    ) -> Result<ExchangeKeysResponse, ClientError> {
        let material = &material.bytes;
        let (parameter_set, kind) = (ParameterSet::Glwe2048V1, KeyKind::PublicEncryption);
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
        let registered = receipt.key.as_ref().map(|key| key.fingerprint.as_str());
        if registered == Some(&fingerprint.to_string()) {
            Ok(receipt)
        } else {
            let got = registered.unwrap_or("no key").to_owned();
            Err(self.keyvault.protocol(got, format_args!("fingerprint {fingerprint}")))
        }
    }

    /// What is registered under `key_id`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with NOT_FOUND if nothing is.
    pub async fn key(&self, key_id: &KeyId) -> Result<Key, ClientError> {
        let reply = self
            .keyvault
            .call(|channel| async move {
                let request = GetKeyRequest { key_id: key_id.to_string(), kind: 0 };
                KeyVaultClient::new(channel).get_key(request).await
            })
            .await?;
        reply.into_inner().key.ok_or_else(|| self.keyvault.protocol("no key", "a key"))
    }

    /// The tenant's keys, by key id.
    ///
    /// # Errors
    /// [`ClientError`] if the key vault does not answer.
    pub async fn list_keys(&self) -> Result<Vec<Key>, ClientError> {
        let list = |channel| async move {
            KeyVaultClient::new(channel).list_keys(ListKeysRequest {}).await
        };
        Ok(self.keyvault.call(list).await?.into_inner().keys)
    }
}
