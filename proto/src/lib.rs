//! The schema of Sphinx: generated messages, clients and servers of package `sphinx.v1`, and the
//! one place where messages become checked values ([`ids`], [`ConversionError`]) and errors become
//! status codes ([`code`]).
#![deny(clippy::indexing_slicing)]

pub mod code;
pub mod conversion;
pub mod fingerprint;
pub mod ids;
pub mod network;
pub mod optimizer;
pub mod stream;

pub use code::{ErrorCode, Reason, RpcError, to_status};
pub use conversion::ConversionError;
pub use fingerprint::Fingerprint;
pub use ids::{KeyId, ModelId, SessionId, TenantId};
pub use stream::next_message;

/// Package `sphinx.v1`, generated from `proto/sphinx/v1`.
#[expect(missing_docs, reason = "documented in the .proto files")]
#[allow(clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("sphinx.v1");
}

/// The encoded file descriptors of the schema, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
