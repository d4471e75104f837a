//! What the key vault answers instead of a key.

use sphinx_objects::ObjectError;
use sphinx_proto::{ConversionError, ErrorCode, KeyId, Reason, RpcError};
use sphinx_runtime::ComputeError;

/// An error of the key vault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum VaultError {
    #[error(transparent)]
    Field(#[from] ConversionError),
    #[error("the stream does not begin with a header: expected a KeyHeader")]
    NoHeader,
    #[error("a header came after {received} bytes of material: a stream has one header")]
    SecondHeader { received: u64 },
    #[error("material_bytes is {got}: this kind of key has {expected}")]
    MaterialSize { got: u64, expected: u64 },
    #[error("material_bytes is {got}: expected 1 to {limit} for keys of this kind")]
    MaterialLimit { got: u64, limit: u64 },
    #[error("a chunk has {got} bytes: at most {limit}")]
    Chunk { got: usize, limit: u32 },
    #[error("description has {got} bytes: at most {limit}")]
    Description { got: usize, limit: u32 },
    #[error("the stream ended after {got} of {expected} bytes of material")]
    CutShort { got: u64, expected: u64 },
    #[error("the stream has {got} bytes of material or more: its header announced {expected}")]
    TooLong { got: u64, expected: u64 },
    #[error("the material's SHA-256 is {got}: the header announced {expected}")]
    Hash { got: String, expected: String },
    #[error("key {key_id} is registered with other material or another kind; choose another id")]
    Taken { key_id: KeyId },
    #[error("this tenant has {limit} keys, which is the limit")]
    TooManyKeys { limit: u32 },
    #[error("key {key_id} is not registered for this tenant")]
    NoKey { key_id: KeyId },
    #[error(
        "key {key_id} was revoked at {since} (seconds since 1970): make a key with another id and register that"
    )]
    Revoked { key_id: KeyId, since: i64 },
    #[error(
        "key {key_id} was registered by an earlier release as a public encryption key, which is of no use any more: \
         register the key again"
    )]
    EarlierRelease { key_id: KeyId },
    #[error("offset is {got}: only evaluation keys can be sent in several streams")]
    OffsetOfIdentity { got: u64 },
    #[error("offset is {got}: {stored} bytes are stored; ask FindUpload where to go on")]
    Offset { got: u64, stored: u64 },
    #[error(
        "the material is {what}: this key vault takes no secret material and has stored none; make a new key, \
         this one has left your machine"
    )]
    Secret { what: &'static str },
    #[error(
        "one byte value occurs more than {limit} times among the material's {bytes} bytes, which no identity has: \
         nothing is stored; if this was a secret key, make a new one, this one has left your machine"
    )]
    NotRandom { bytes: usize, limit: usize },
    #[error("evaluation keys refused: {0}")]
    NotEvaluationKeys(sphinx_evaluation_keys::EvaluationKeyError),
    #[error("the evaluation keys {key_id} have fingerprint {got}: the request expected {expected}")]
    OtherFingerprint { key_id: KeyId, got: String, expected: String },
    #[error("the material of {key_id} was removed meanwhile; register it again")]
    Removed { key_id: KeyId },
    #[error(
        "kind is {got}: expected KEY_KIND_EVALUATION (2); an identity stays, models are bound to it; revoke it"
    )]
    Kind { got: i32 },
    #[error(transparent)]
    Compute(#[from] ComputeError),
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl RpcError for VaultError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Field(error) => error.code(),
            Self::MaterialSize { .. }
            | Self::Chunk { .. }
            | Self::Description { .. }
            | Self::OffsetOfIdentity { .. }
            | Self::Secret { .. }
            | Self::NotRandom { .. }
            | Self::NotEvaluationKeys(_)
            | Self::Kind { .. } => ErrorCode::InvalidArgument,
            Self::NoHeader
            | Self::SecondHeader { .. }
            | Self::CutShort { .. }
            | Self::TooLong { .. }
            | Self::Hash { .. } => ErrorCode::Aborted(Reason::StreamBroken),
            Self::Offset { .. } | Self::OtherFingerprint { .. } | Self::Removed { .. } => {
                ErrorCode::Aborted(Reason::BaseMoved)
            }
            Self::Compute(error) => error.code(),
            Self::MaterialLimit { .. } | Self::TooManyKeys { .. } => ErrorCode::ResourceExhausted,
            Self::Taken { .. } => ErrorCode::AlreadyExists,
            Self::Revoked { .. } | Self::EarlierRelease { .. } => ErrorCode::FailedPrecondition,
            Self::NoKey { .. } => ErrorCode::NotFound,
            Self::Object(_) => ErrorCode::Internal,
        }
    }
}

impl From<VaultError> for tonic::Status {
    fn from(error: VaultError) -> Self {
        sphinx_proto::to_status(error)
    }
}
