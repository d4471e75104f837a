//! What a service is to the runtime: what tells it from the others, how it opens, what it serves.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::compute::Compute;
use crate::config::{Config, Limits};

/// Why a service cannot open; only shown.
pub type OpenError = Box<dyn Error + Send + Sync>;

/// A service, as [`crate::run`] starts it.
pub trait Service: Sized + Send + Sync {
    /// What tells it from the others.
    const INFO: ServiceInfo;
    /// The `[limits]` table of its configuration.
    type Limits: Limits;

    /// Opens what the service needs. `compute` has the threads of the configuration, `shutdown` is
    /// cancelled when the service is to drain.
    ///
    /// # Errors
    /// What keeps the service from serving; nothing listens then.
    fn open(
        config: &Config<Self::Limits>,
        compute: Compute,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<Self, OpenError>> + Send;

    /// Its RPCs.
    fn routes(&self) -> Routes;

    /// What it does beside its RPCs, for as long as it serves.
    fn background(&self) -> impl Future<Output = Infallible> + Send {
        std::future::pending()
    }
}

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
