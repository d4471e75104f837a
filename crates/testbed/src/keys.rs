//! Keys as the key vault gets them.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sphinx_proto::TenantId;
use sphinx_proto::v1::exchange_keys_request::Part;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{ExchangeKeysRequest, KeyHeader, KeyKind, ParameterSet, RevokeKeyRequest};
use tonic::Request;

/// The length of an identity.
pub const IDENTITY_BYTES: usize = 32;

/// The true header of some material.
pub fn key_header(key_id: &str, kind: KeyKind, material: &[u8]) -> KeyHeader {
    KeyHeader {
        key_id: key_id.to_owned(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        kind: kind.into(),
        material_bytes: material.len() as u64,
        material_sha256: Sha256::digest(material).to_vec().into(),
        description: "a test's".to_owned(),
        offset: 0,
    }
}

/// The messages of an upload: a header, and the bytes from its offset on in chunks of some length.
pub fn upload(header: KeyHeader, rest: &[u8], chunk: usize) -> Vec<ExchangeKeysRequest> {
    let chunks = rest.chunks(chunk).map(|chunk| Part::Chunk(Bytes::copy_from_slice(chunk)));
    let parts = std::iter::once(Part::Header(header)).chain(chunks);
    parts.map(|part| ExchangeKeysRequest { part: Some(part) }).collect()
}

/// Registers an identity of a tenant. Any bytes are one to those without the root.
pub async fn register_key(keyvault: &str, tenant: &str, key_id: &str) {
    let material: Vec<u8> = (0..IDENTITY_BYTES).map(|index| index as u8).collect();
    let header = key_header(key_id, KeyKind::Identity, &material);
    let parts = tokio_stream::iter(upload(header, &material, IDENTITY_BYTES));
    let mut client = KeyVaultClient::connect(keyvault.to_owned()).await.unwrap();
    client.exchange_keys(of_tenant(tenant, parts)).await.unwrap();
}

/// Revokes a key of a tenant.
pub async fn revoke_key(keyvault: &str, tenant: &str, key_id: &str) {
    let mut client = KeyVaultClient::connect(keyvault.to_owned()).await.unwrap();
    let request = RevokeKeyRequest { key_id: key_id.to_owned() };
    client.revoke_key(of_tenant(tenant, request)).await.unwrap();
}

/// A request in the name of a tenant.
pub fn of_tenant<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(TenantId::FIELD, tenant.parse().unwrap());
    request
}
