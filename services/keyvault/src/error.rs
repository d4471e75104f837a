//! What the key vault answers instead of a key.

use sphinx_proto::{ConversionError, ErrorCode, KeyId, RpcError};
use sphinx_store::StoreError;

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
    #[error("material_bytes is {got}: this key vault takes at most {limit}")]
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
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
            | Self::Hash { .. } => ErrorCode::InvalidArgument,
            Self::MaterialLimit { .. } | Self::TooManyKeys { .. } => ErrorCode::ResourceExhausted,
            Self::Taken { .. } => ErrorCode::AlreadyExists,
            Self::NoKey { .. } => ErrorCode::NotFound,
            Self::Store(error) => error.code(),
        }
    }
}

impl From<VaultError> for tonic::Status {
    fn from(error: VaultError) -> Self {
        sphinx_proto::to_status(error)
    }
}
