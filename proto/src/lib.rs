//! The schema of Sphinx: generated messages, clients and servers of package `sphinx.v1`.

/// Package `sphinx.v1`, generated from `proto/sphinx/v1`.
#[expect(missing_docs, reason = "documented in the .proto files")]
#[allow(clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("sphinx.v1");
}

/// The encoded file descriptors of the schema, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
