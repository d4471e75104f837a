//! What is stored of a model, and its stored form.

use bytes::Bytes;
use prost::Message;
use sphinx_objects::record::{Record, RecordError};
use sphinx_proto::{KeyId, ModelId, SessionId, TenantId, v1};

/// What a model is; never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMeta {
    /// Who owns it.
    pub tenant: TenantId,
    /// Its name.
    pub model_id: ModelId,
    /// The key that its states are sealed under.
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
    /// Steps that the optimiser's moments have taken in.
    pub optimizer_steps: u64,
    /// Steps that the average has taken in.
    pub averaged_steps: u64,
    /// The client's half of the training state; opaque to everybody else. Empty at version 0.
    pub sealed: Bytes,
    /// What binds the version to those before it.
    pub hashes: VersionHashes,
}

/// SHA-256 hashes of a version (crate `sphinx-wire`, module `state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VersionHashes {
    /// h of this version.
    pub chain: [u8; 32],
    /// h of the version before; zeros at version 0.
    pub previous: [u8; 32],
    /// Of the gradient of the step that made it; zeros at version 0.
    pub gradient: [u8; 32],
    /// Of the weights.
    pub weights: [u8; 32],
    /// Of the state of the optimiser, averages included.
    pub optimizer: [u8; 32],
}

/// Which commit of which session: the key of idempotence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitId {
    /// The session.
    pub session: SessionId,
    /// Its step, counted from 0.
    pub step: u64,
}

impl ModelVersion {
    /// What callers learn of the version besides its weights.
    pub fn state(&self, has_one_shot_biases: bool) -> v1::VersionState {
        let bytes = |hash: [u8; 32]| Bytes::copy_from_slice(&hash);
        let VersionHashes { chain, previous, gradient, weights, optimizer } = self.hashes;
        v1::VersionState {
            version: self.version,
            chain: bytes(chain),
            previous_chain: bytes(previous),
            gradient_sha256: bytes(gradient),
            weights_sha256: bytes(weights),
            optimizer_sha256: bytes(optimizer),
            sealed: self.sealed.clone(),
            session_id: self
                .commit
                .map(|commit| commit.session.0.to_vec().into())
                .unwrap_or_default(),
            step: self.commit.map(|commit| commit.step),
            optimizer_steps: self.optimizer_steps,
            averaged_steps: self.averaged_steps,
            has_one_shot_biases,
        }
    }
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
    #[prost(bytes = "bytes", tag = "9")]
    sealed: Bytes,
    /// The hashes in the order of [`VersionHashes`].
    #[prost(bytes = "vec", repeated, tag = "10")]
    hashes: Vec<Vec<u8>>,
    #[prost(uint64, tag = "11")]
    optimizer_steps: u64,
    #[prost(uint64, tag = "12")]
    averaged_steps: u64,
}

/// Format 1 held biases encrypted under a lasting key. It is refused: reading it means decrypting
/// what a server chose. Format 3 is format 2 by another number: programs that know only the latter
/// prune in another way, so none may commit after one that writes the former.
impl Record for VersionRecord {
    const TYPE: &'static str = "model-version";
    const FORMAT: u16 = 3;
    const READS: &'static [u16] = &[2, 3];
}

/// A hint at a model's newest version: that was this one when the hint was written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadRecord {
    #[prost(uint64, tag = "1")]
    pub version: u64,
}

impl Record for HeadRecord {
    const TYPE: &'static str = "model-head";
    const FORMAT: u16 = 1;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BiasesRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub biases: Bytes,
}

impl Record for BiasesRecord {
    const TYPE: &'static str = "model-biases";
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
            optimizer_steps: version.optimizer_steps,
            averaged_steps: version.averaged_steps,
            sealed: version.sealed,
            hashes: version.hashes.all().map(|hash| hash.to_vec()).to_vec(),
        }
    }
}

impl VersionHashes {
    fn all(&self) -> [[u8; 32]; 5] {
        [self.chain, self.previous, self.gradient, self.weights, self.optimizer]
    }
}

impl TryFrom<Vec<Vec<u8>>> for VersionHashes {
    type Error = RecordError;

    fn try_from(hashes: Vec<Vec<u8>>) -> Result<Self, RecordError> {
        let read = |hash: Vec<u8>| <[u8; 32]>::try_from(hash).ok();
        let hashes: Option<Vec<_>> = hashes.into_iter().map(read).collect();
        let hashes = hashes.and_then(|hashes| <[_; 5]>::try_from(hashes).ok());
        let [chain, previous, gradient, weights, optimizer] =
            hashes.ok_or_else(|| invalid("its hashes are not five of 32 bytes"))?;
        Ok(Self { chain, previous, gradient, weights, optimizer })
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
            optimizer_steps: record.optimizer_steps,
            averaged_steps: record.averaged_steps,
            sealed: record.sealed,
            hashes: record.hashes.try_into()?,
        })
    }
}

fn invalid(error: impl ToString) -> RecordError {
    RecordError::Message(error.to_string())
}
