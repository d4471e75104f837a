//! What the key vault answers instead of a key.

use sphinx_objects::ObjectError;
use sphinx_proto::{ConversionError, ErrorCode, KeyId, RpcError};
use sphinx_runtime::ComputeError;

/// An error of the key vault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VaultError {
    /// A field that is none.
    #[error(transparent)]
    Field(#[from] ConversionError),
    /// A second header within one stream.
    #[error("a header came after {received} bytes of material: a stream has one header")]
    SecondHeader {
        /// Material received before it.
        received: u64,
    },
    /// Material of a length that its kind does not have.
    #[error("material_bytes is {got}: this kind of key has {expected}")]
    MaterialSize {
        /// The length announced.
        got: u64,
        /// The length of the kind.
        expected: u64,
    },
    /// More material than a key may have here.
    #[error("material_bytes is {got}: expected 1 to {limit} for keys of this kind")]
    MaterialLimit {
        /// The length announced.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// A chunk above the limit.
    #[error("a chunk has {got} bytes: at most {limit}")]
    Chunk {
        /// Its length.
        got: usize,
        /// The limit.
        limit: u32,
    },
    /// A description above the limit.
    #[error("description has {got} bytes: at most {limit}")]
    Description {
        /// Its length.
        got: usize,
        /// The limit.
        limit: u32,
    },
    /// The stream ended early.
    #[error("the stream ended after {got} of {expected} bytes of material")]
    CutShort {
        /// Bytes received.
        got: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// The stream goes on after its end.
    #[error("the stream has {got} bytes of material or more: its header announced {expected}")]
    TooLong {
        /// Bytes received.
        got: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// The material is not what was announced.
    #[error("the material's SHA-256 is {got}: the header announced {expected}")]
    Hash {
        /// Of what was received, hexadecimal.
        got: String,
        /// As announced, hexadecimal.
        expected: String,
    },
    /// The id belongs to another key.
    #[error("key {key_id} is registered with other material or another kind; choose another id")]
    Taken {
        /// The id.
        key_id: KeyId,
    },
    /// The tenant has as many keys as it may.
    #[error("this tenant has {limit} keys, which is the limit")]
    TooManyKeys {
        /// The limit.
        limit: u32,
    },
    /// No such key.
    #[error("key {key_id} is not registered for this tenant")]
    NoKey {
        /// The id.
        key_id: KeyId,
    },
    /// A stream that begins in the middle of a public key.
    #[error("offset is {got}: only evaluation keys can be sent in several streams")]
    OffsetOfPublicKey {
        /// The offset.
        got: u64,
    },
    /// A stream that begins where nothing is stored yet, or not at a whole part.
    #[error("offset is {got}: {stored} bytes are stored; ask FindUpload where to go on")]
    Offset {
        /// The offset.
        got: u64,
        /// Bytes that are stored.
        stored: u64,
    },
    /// Secret material, refused by what it says it is.
    #[error(
        "the material is {what}: this key vault takes no secret material and has stored none; make a new key, \
         this one has left your machine"
    )]
    Secret {
        /// What it says it is.
        what: &'static str,
    },
    /// A public key that is not random, as a secret key is not.
    #[error(
        "one byte value occurs more than {limit} times among the material's {bytes} bytes, which no public key has: \
         nothing is stored; if this was a secret key, make a new one, this one has left your machine"
    )]
    NotRandom {
        /// Bytes of the material.
        bytes: usize,
        /// Most occurrences of one value in a public key.
        limit: usize,
    },
    /// The material is no set of evaluation keys.
    #[error("evaluation keys refused: {0}")]
    NotEvaluationKeys(sphinx_evaluation_keys::EvaluationKeyError),
    /// The key is another one by now.
    #[error("the evaluation keys {key_id} have fingerprint {got}: the request expected {expected}")]
    OtherFingerprint {
        /// The id.
        key_id: KeyId,
        /// The fingerprint of what is registered.
        got: String,
        /// The fingerprint asked for.
        expected: String,
    },
    /// A part of the material is gone.
    #[error("the material of {key_id} was removed meanwhile; register it again")]
    Removed {
        /// The id.
        key_id: KeyId,
    },
    /// A public key would be removed or fetched.
    #[error(
        "kind is {got}: expected KEY_KIND_EVALUATION (2); public keys stay, models are bound to them"
    )]
    Kind {
        /// The kind's number.
        got: i32,
    },
    /// A computation failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The store failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl RpcError for VaultError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Field(error) => error.code(),
            Self::SecondHeader { .. }
            | Self::MaterialSize { .. }
            | Self::Chunk { .. }
            | Self::Description { .. }
            | Self::CutShort { .. }
            | Self::TooLong { .. }
            | Self::Hash { .. }
            | Self::OffsetOfPublicKey { .. }
            | Self::Secret { .. }
            | Self::NotRandom { .. }
            | Self::NotEvaluationKeys(_)
            | Self::Kind { .. } => ErrorCode::InvalidArgument,
            Self::Offset { .. } | Self::OtherFingerprint { .. } | Self::Removed { .. } => {
                ErrorCode::Aborted
            }
            Self::Compute(error) => error.code(),
            Self::MaterialLimit { .. } | Self::TooManyKeys { .. } => ErrorCode::ResourceExhausted,
            Self::Taken { .. } => ErrorCode::AlreadyExists,
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
