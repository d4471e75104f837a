//! Keys as the key vault gets them.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sphinx_proto::TenantId;
use sphinx_proto::v1::exchange_keys_request::Part;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{ExchangeKeysRequest, KeyHeader, KeyKind, ParameterSet};
use tonic::Request;

/// The length of a public encryption key.
pub const PUBLIC_KEY_BYTES: usize = 16 + 2048 * 8;

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

/// Registers a public key of a tenant. Any bytes are one to those without the secret half.
pub async fn register_key(keyvault: &str, tenant: &str, key_id: &str) {
    let material: Vec<u8> = (0..PUBLIC_KEY_BYTES).map(|index| index as u8).collect();
    let header = key_header(key_id, KeyKind::PublicEncryption, &material);
    let parts = tokio_stream::iter(upload(header, &material, PUBLIC_KEY_BYTES));
    let mut client = KeyVaultClient::connect(keyvault.to_owned()).await.unwrap();
    client.exchange_keys(of_tenant(tenant, parts)).await.unwrap();
}

/// A request in the name of a tenant.
pub fn of_tenant<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(TenantId::FIELD, tenant.parse().unwrap());
    request
}
