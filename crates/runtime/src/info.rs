//! What tells one service from another.

use std::net::SocketAddr;

/// A service's identity, known at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Short name, lower case: in logs, and in the environment prefix `SPHINX_<NAME>__`.
    pub name: &'static str,
    /// Full gRPC name, as health checks ask for it: `sphinx.v1.KeyVault`.
    pub grpc_name: &'static str,
    /// Version shown in the first log line.
    pub version: &'static str,
    /// Address it listens on by default.
    pub default_listen: SocketAddr,
}
