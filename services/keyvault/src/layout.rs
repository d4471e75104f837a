//! Where things lie and in which form: `keys/<tenant>/<key id>` describes a key, and
//! `material/<tenant>/<fingerprint>` is its material.

use bytes::Bytes;
use object_store::path::Path;
use prost::Message;
use sphinx_proto::{KeyId, TenantId, v1};
use sphinx_store::record::Record;

/// The folder of a tenant's keys.
pub(crate) fn keys(tenant: &TenantId) -> Path {
    Path::from_iter(["keys", tenant.as_str()])
}

/// A key's description.
pub(crate) fn key(tenant: &TenantId, key_id: &KeyId) -> Path {
    Path::from_iter(["keys", tenant.as_str(), key_id.as_str()])
}

/// A key's material, by its content.
pub(crate) fn material(tenant: &TenantId, fingerprint: &str) -> Path {
    Path::from_iter(["material", tenant.as_str(), fingerprint])
}

/// A key's description as stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyRecord {
    #[prost(string, tag = "1")]
    pub(crate) key_id: String,
    #[prost(int32, tag = "2")]
    pub(crate) parameter_set: i32,
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "4")]
    pub(crate) material_bytes: u64,
    #[prost(string, tag = "5")]
    pub(crate) fingerprint: String,
    #[prost(string, tag = "6")]
    pub(crate) description: String,
    #[prost(int64, tag = "7")]
    pub(crate) created_unix_seconds: i64,
}

/// A key's material as stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MaterialRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) material: Bytes,
}

impl Record for KeyRecord {
    const TYPE: &'static str = "key";
    const FORMAT: u16 = 1;
}

impl Record for MaterialRecord {
    const TYPE: &'static str = "key-material";
    const FORMAT: u16 = 1;
}

impl From<KeyRecord> for v1::Key {
    fn from(record: KeyRecord) -> Self {
        Self {
            key_id: record.key_id,
            parameter_set: record.parameter_set,
            kind: record.kind,
            material_bytes: record.material_bytes,
            fingerprint: record.fingerprint,
            description: record.description,
            created_unix_seconds: record.created_unix_seconds,
        }
    }
}
