//! What is stored of a model, and its stored form.

use bytes::Bytes;
use prost::Message;
use sphinx_objects::record::{Record, RecordError};
use sphinx_proto::{KeyId, ModelId, SessionId, TenantId};

/// What a model is; never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMeta {
    /// Who owns it.
    pub tenant: TenantId,
    /// Its name.
    pub model_id: ModelId,
    /// The key of its biases.
    pub key_id: KeyId,
    /// The network, as an encoded `sphinx.v1.Network`.
    pub network: Bytes,
    /// Seed of the initial weights.
    pub seed: u64,
    /// When it was made, seconds since 1970-01-01 UTC.
    pub created_unix_seconds: i64,
    /// 16 random bytes: tells this model from a deleted one of the same name.
    pub incarnation: [u8; 16],
}

/// A model's parameters after a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// The number of commits.
    pub version: u64,
    /// What made it; `None` for version 0.
    pub commit: Option<CommitId>,
    /// When it was made, seconds since 1970-01-01 UTC.
    pub updated_unix_seconds: i64,
    /// Weights by stage.
    pub weights: Vec<Vec<f32>>,
    /// Moving average of the weights, if one is kept, by stage.
    pub averaged: Option<Vec<Vec<f32>>>,
    /// State of the optimiser; opaque here.
    pub optimizer: Bytes,
    /// Ciphertexts of the biases by stage; opaque here. After loading they share the object's
    /// memory.
    pub biases: Vec<Bytes>,
}

/// Which commit of which session: the key of idempotence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitId {
    /// The session.
    pub session: SessionId,
    /// Its step, counted from 0.
    pub step: u64,
}

impl ModelMeta {
    /// Whether the same request made both.
    pub(crate) fn same_request(&self, other: &Self) -> bool {
        let request = |meta: &Self| (meta.key_id.clone(), meta.network.clone(), meta.seed);
        request(self) == request(other)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaRecord {
    #[prost(string, tag = "1")]
    tenant: String,
    #[prost(string, tag = "2")]
    model_id: String,
    #[prost(string, tag = "3")]
    key_id: String,
    #[prost(bytes = "bytes", tag = "4")]
    network: Bytes,
    #[prost(uint64, tag = "5")]
    seed: u64,
    #[prost(int64, tag = "6")]
    created_unix_seconds: i64,
    #[prost(bytes = "vec", tag = "7")]
    incarnation: Vec<u8>,
}

impl Record for MetaRecord {
    const TYPE: &'static str = "model-meta";
    const FORMAT: u16 = 1;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VersionRecord {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(message, optional, tag = "2")]
    commit: Option<CommitRecord>,
    #[prost(int64, tag = "3")]
    updated_unix_seconds: i64,
    #[prost(message, repeated, tag = "4")]
    weights: Vec<Floats>,
    #[prost(bool, tag = "5")]
    has_averaged: bool,
    #[prost(message, repeated, tag = "6")]
    averaged: Vec<Floats>,
    #[prost(bytes = "bytes", tag = "7")]
    optimizer: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    biases: Vec<Bytes>,
}

impl Record for VersionRecord {
    const TYPE: &'static str = "model-version";
    const FORMAT: u16 = 1;
}

#[derive(Clone, PartialEq, Message)]
struct CommitRecord {
    #[prost(bytes = "vec", tag = "1")]
    session: Vec<u8>,
    #[prost(uint64, tag = "2")]
    step: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Floats {
    #[prost(float, repeated, tag = "1")]
    values: Vec<f32>,
}

impl From<&ModelMeta> for MetaRecord {
    fn from(meta: &ModelMeta) -> Self {
        Self {
            tenant: meta.tenant.to_string(),
            model_id: meta.model_id.to_string(),
            key_id: meta.key_id.to_string(),
            network: meta.network.clone(),
            seed: meta.seed,
            created_unix_seconds: meta.created_unix_seconds,
            incarnation: meta.incarnation.to_vec(),
        }
    }
}

impl TryFrom<MetaRecord> for ModelMeta {
    type Error = RecordError;

    fn try_from(record: MetaRecord) -> Result<Self, RecordError> {
        let incarnation = record.incarnation.as_slice().try_into();
        Ok(Self {
            tenant: TenantId::parse(record.tenant).map_err(invalid)?,
            model_id: ModelId::parse(record.model_id).map_err(invalid)?,
            key_id: KeyId::parse(record.key_id).map_err(invalid)?,
            network: record.network,
            seed: record.seed,
            created_unix_seconds: record.created_unix_seconds,
            incarnation: incarnation.map_err(invalid)?,
        })
    }
}

impl From<ModelVersion> for VersionRecord {
    fn from(version: ModelVersion) -> Self {
        let floats = |stages: Vec<Vec<f32>>| -> Vec<Floats> {
            stages.into_iter().map(|values| Floats { values }).collect()
        };
        Self {
            version: version.version,
            commit: version.commit.map(|commit| CommitRecord {
                session: commit.session.0.to_vec(),
                step: commit.step,
            }),
            updated_unix_seconds: version.updated_unix_seconds,
            weights: floats(version.weights),
            has_averaged: version.averaged.is_some(),
            averaged: floats(version.averaged.unwrap_or_default()),
            optimizer: version.optimizer,
            biases: version.biases,
        }
    }
}

impl TryFrom<VersionRecord> for ModelVersion {
    type Error = RecordError;

    fn try_from(record: VersionRecord) -> Result<Self, RecordError> {
        let vectors = |stages: Vec<Floats>| -> Vec<Vec<f32>> {
            stages.into_iter().map(|floats| floats.values).collect()
        };
        let commit = record.commit.map(|commit| {
            let session = SessionId::try_from(commit.session.as_slice()).map_err(invalid)?;
            Ok(CommitId { session, step: commit.step })
        });
        Ok(Self {
            version: record.version,
            commit: commit.transpose()?,
            updated_unix_seconds: record.updated_unix_seconds,
            weights: vectors(record.weights),
            averaged: record.has_averaged.then(|| vectors(record.averaged)),
            optimizer: record.optimizer,
            biases: record.biases,
        })
    }
}

fn invalid(error: impl ToString) -> RecordError {
    RecordError::Message(error.to_string())
}
