//! Inference: answers the linear layers of stored models, on ciphertexts while the client prepares and on
//! uniformly masked integers while it recognises. It keeps nothing between calls and has no type for a secret key.
//!
//! The way of a request: `rpc/<name>.rs` parses it, finds the tenant, gets the model from [`models::Models`],
//! computes with one of its [`model::LoadedStage`]s and converts the answer.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod model;
mod models;
mod one_shot;
mod rpc;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use sphinx_models::{ModelStore, StoreError};
use sphinx_proto::v1::inference_server::{InferenceServer, SERVICE_NAME};
use sphinx_runtime::{
    CancellationToken, Compute, ComputeError, KeyDirectory, KeyError, ServeError, ServiceArgs,
    ServiceInfo, launch, serve,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use config::InferenceLimits;

/// This service's configuration.
pub type Config = sphinx_runtime::Config<InferenceLimits>;

/// This service.
pub const SERVICE: ServiceInfo = ServiceInfo {
    name: "inference",
    grpc_name: SERVICE_NAME,
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7002),
};

/// Why the service ended other than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key vault's address is none.
    #[error(transparent)]
    KeyVault(#[from] KeyError),
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

/// Serves on a listener until `shutdown` is cancelled and the running RPCs have ended.
///
/// # Errors
/// [`RunError`] when the store cannot be opened, threads cannot be started or the transport fails.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let store = ModelStore::open(&config.store)?;
    let compute = Compute::new(config.compute_threads)?;
    let keys = KeyDirectory::connect(&config.keyvault)?;
    let limits = &config.limits;
    let one_shot = one_shot::OneShot::new(store.clone(), keys.clone(), compute.clone(), limits);
    let models = models::Models::new(store, compute.clone(), limits.max_cache_bytes);
    let service = rpc::InferenceService::new(models, keys, compute, one_shot, limits);
    let routes = Routes::new(InferenceServer::new(service));
    Ok(serve(&SERVICE, &config.server, listener, routes, shutdown).await?)
}
