//! Where things lie and in which form.
//!
//! - `keys/<tenant>/<key id>` is an identity. Earlier releases kept public encryption keys there,
//!   with their material in `material/<tenant>/<fingerprint>`.
//! - `revoked/<tenant>/<key id>` says that a key is revoked, and since when.
//! - `evaluation-keys/<tenant>/<key id>` describes evaluation keys, and
//!   `parts/<tenant>/<SHA-256>-<number>` are the pieces of their material, which are there before
//!   the description is.

use bytes::Bytes;
use object_store::path::Path;
use prost::Message;
use sphinx_objects::record::Record;
use sphinx_proto::v1::{self, KeyKind};
use sphinx_proto::{KeyId, TenantId};

/// Where nothing lies, to be asked for whether the store answers.
pub(crate) fn nothing() -> Path {
    Path::from("readiness")
}

/// The folder of a tenant's keys of one kind.
pub(crate) fn keys(tenant: &TenantId, kind: KeyKind) -> Path {
    Path::from_iter([folder(kind), tenant.as_str()])
}

/// A key's description.
pub(crate) fn key(tenant: &TenantId, kind: KeyKind, key_id: &KeyId) -> Path {
    Path::from_iter([folder(kind), tenant.as_str(), key_id.as_str()])
}

fn folder(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Evaluation => "evaluation-keys",
        KeyKind::Identity | KeyKind::Unspecified => "keys",
    }
}

/// The folder of all tenants' parts.
pub(crate) fn all_parts() -> Path {
    Path::from("parts")
}

/// The folder of a tenant's parts.
pub(crate) fn parts(tenant: &TenantId) -> Path {
    Path::from_iter(["parts", tenant.as_str()])
}

/// One part of a material with this SHA-256 in hexadecimal.
pub(crate) fn part(tenant: &TenantId, sha256: &str, number: usize) -> Path {
    Path::from_iter(["parts", tenant.as_str(), &part_name(sha256, number)])
}

fn part_name(sha256: &str, number: usize) -> String {
    format!("{sha256}-{number:06}")
}

/// The SHA-256 and the number of a part by its name.
pub(crate) fn parse_part(name: &str) -> Option<(&str, usize)> {
    let (sha256, number) = name.split_once('-')?;
    Some((sha256, number.parse().ok()?))
}

/// A key's revocation.
pub(crate) fn revocation(tenant: &TenantId, key_id: &KeyId) -> Path {
    Path::from_iter(["revoked", tenant.as_str(), key_id.as_str()])
}

/// The material of a public encryption key of an earlier release.
pub(crate) fn earlier_material(tenant: &TenantId, fingerprint: &str) -> Path {
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
    /// Of evaluation keys only: what their parts are named by, hexadecimal.
    #[prost(string, tag = "8")]
    pub(crate) material_sha256: String,
    /// Of an identity only: its 32 bytes.
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) identity: Bytes,
}

/// A revocation as stored. It is for good, and for whatever is registered under the id.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevocationRecord {
    #[prost(string, tag = "1")]
    pub(crate) key_id: String,
    #[prost(int64, tag = "2")]
    pub(crate) revoked_unix_seconds: i64,
}

/// A part of some evaluation keys' material as stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: Bytes,
}

impl Record for PartRecord {
    const TYPE: &'static str = "key-part";
    const FORMAT: u16 = 1;
}

impl Record for KeyRecord {
    const TYPE: &'static str = "key";
    const FORMAT: u16 = 1;
}

impl Record for RevocationRecord {
    const TYPE: &'static str = "key-revocation";
    const FORMAT: u16 = 1;
}

/// A key with its authorisation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) record: KeyRecord,
    /// Since when it is revoked.
    pub(crate) revoked_unix_seconds: Option<i64>,
}

impl From<Entry> for v1::Key {
    fn from(Entry { record, revoked_unix_seconds }: Entry) -> Self {
        Self {
            revoked_unix_seconds,
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
