//! KeyVault: keeps the public and evaluation keys of every tenant. It has no type for a secret key.
//!
//! The way of a request: `rpc/<name>.rs` parses it, finds the tenant, calls [`vault::Vault`] and
//! converts the answer.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod evaluation;
mod layout;
mod material;
mod rpc;
mod secrets;
mod vault;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use sphinx_objects::ObjectError;
use sphinx_proto::v1::key_vault_server::{KeyVaultServer, SERVICE_NAME};
use sphinx_runtime::{
    CancellationToken, Compute, ComputeError, ServeError, ServiceArgs, ServiceInfo, launch, serve,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use config::VaultLimits;

/// This service's configuration.
pub type Config = sphinx_runtime::Config<VaultLimits>;

/// This service.
pub const SERVICE: ServiceInfo = ServiceInfo {
    name: "keyvault",
    grpc_name: SERVICE_NAME,
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7003),
};

/// Why the service ended other than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] ObjectError),
    /// The compute threads cannot be started.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// The whole program, given its command line.
pub fn main(args: &ServiceArgs) -> ExitCode {
    launch(&SERVICE, args, run)
}

/// Serves the key vault on a listener until `shutdown` is cancelled and its RPCs have ended.
///
/// # Errors
/// [`RunError`] when the store cannot be opened or the transport fails.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let compute = Compute::new(config.compute_threads)?;
    let vault = vault::Vault::open(&config.store, config.limits, compute)?;
    vault.sweep().await?;
    let routes = Routes::new(KeyVaultServer::new(rpc::KeyVaultService::new(vault.clone())));
    let served = serve(&SERVICE, &config.server, listener, routes, shutdown);
    tokio::select! {
        served = served => Ok(served?),
        never = vault.keep_sweeping() => match never {},
    }
}
