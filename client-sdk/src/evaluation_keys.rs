//! Evaluation keys in the key vault: sent once, and where they were cut off.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sphinx_channel::TenantChannel;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{
    DeleteKeyRequest, ExchangeKeysRequest, ExchangeKeysResponse, FindUploadRequest, GetKeyRequest,
    KeyHeader, KeyKind, ParameterSet, exchange_keys_request::Part,
};
use sphinx_proto::{Fingerprint, KeyId};
use tonic::Status;

use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::keys::RegisteredKey;

/// Bytes of material per message.
const CHUNK: usize = 512 << 10;

/// What became of a registration of evaluation keys.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationReceipt {
    /// What is registered now.
    pub key: RegisteredKey,
    /// Whether it was before.
    pub already_registered: bool,
    /// Bytes of material that were sent by the last try; none for material that the key vault had.
    pub sent_bytes: u64,
}

/// The fingerprint of serialised evaluation keys, as the key vault shows it.
pub fn evaluation_fingerprint(material: &[u8]) -> Fingerprint {
    Fingerprint::new(ParameterSet::Glwe2048V1, KeyKind::Evaluation, material)
}

impl SphinxClient {
    /// Registers evaluation keys ([`crate::SecretKey::evaluation_keys`], serialised) under the id
    /// of their secret key. Only what the key vault does not have is sent; after a broken
    /// connection the next try goes on where it broke.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with ALREADY_EXISTS if others are
    /// registered under the id, with INVALID_ARGUMENT if the bytes are no evaluation keys;
    /// [`ChannelError::Protocol`](crate::ChannelError::Protocol) if the receipt's fingerprint is
    /// not that of what was sent.
    pub async fn register_evaluation_keys(
        &self,
        key_id: &KeyId,
        material: &Bytes,
        description: &str,
    ) -> Result<EvaluationReceipt, ClientError> {
        let header = KeyHeader {
            key_id: key_id.to_string(),
            parameter_set: ParameterSet::Glwe2048V1.into(),
            kind: KeyKind::Evaluation.into(),
            material_bytes: material.len() as u64,
            material_sha256: Sha256::digest(material).to_vec().into(),
            description: description.to_owned(),
            offset: 0,
        };
        let fingerprint = evaluation_fingerprint(material).to_string();
        let attempt = |channel| send(channel, header.clone(), material.clone());
        let (receipt, sent_bytes) = self.keyvault.call_rereading(attempt).await?;
        let ExchangeKeysResponse { key, already_registered, .. } = receipt;
        let key = self.registered(key)?;
        if key.fingerprint == fingerprint {
            Ok(EvaluationReceipt { key, already_registered, sent_bytes })
        } else {
            let expected = format_args!("fingerprint {fingerprint}");
            Err(self.keyvault.protocol(key.fingerprint, expected))
        }
    }

    /// The evaluation keys registered under `key_id`.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there are none.
    pub async fn evaluation_keys(&self, key_id: &KeyId) -> Result<RegisteredKey, ClientError> {
        let ask = |channel| async move {
            let kind = KeyKind::Evaluation.into();
            let request = GetKeyRequest { key_id: key_id.to_string(), kind };
            KeyVaultClient::new(channel).get_key(request).await
        };
        let reply = self.keyvault.call(ask).await?;
        self.registered(reply.into_inner().key)
    }

    /// Removes the evaluation keys registered under `key_id`: later requests for one-shot
    /// recognition are refused.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there are none.
    pub async fn remove_evaluation_keys(
        &self,
        key_id: &KeyId,
    ) -> Result<RegisteredKey, ClientError> {
        let remove = |channel| async move {
            let kind = KeyKind::Evaluation.into();
            let request = DeleteKeyRequest { key_id: key_id.to_string(), kind };
            KeyVaultClient::new(channel).delete_key(request).await
        };
        let reply = self.keyvault.call(remove).await?;
        self.registered(reply.into_inner().key)
    }
}

/// One try: asks what is there and sends the rest.
async fn send(
    channel: TenantChannel,
    mut header: KeyHeader,
    material: Bytes,
) -> Result<(ExchangeKeysResponse, u64), Status> {
    let mut client = KeyVaultClient::new(channel);
    let request = FindUploadRequest { header: Some(header.clone()) };
    let stored = client.find_upload(request).await?.into_inner().stored_bytes;
    let offset = usize::try_from(stored).unwrap_or(usize::MAX).min(material.len());
    header.offset = offset as u64;
    let (total, rest) = (material.len(), material);
    let chunks = (offset..total)
        .step_by(CHUNK)
        .map(move |first| Part::Chunk(rest.slice(first..total.min(first + CHUNK))));
    let parts = std::iter::once(Part::Header(header)).chain(chunks);
    let parts = parts.map(|part| ExchangeKeysRequest { part: Some(part) });
    let receipt = client.exchange_keys(tokio_stream::iter(parts)).await?.into_inner();
    Ok((receipt, (total - offset) as u64))
}
