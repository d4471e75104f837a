//! The trainer: evaluates the linear layers of a network on ciphertexts and updates its weights.
//!
//! It holds weights in the clear and biases encrypted. No type of this crate or of its dependencies can hold a
//! secret key.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod rpc;
mod service;
mod training;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use sphinx_proto::v1::trainer_server::TrainerServer;
use sphinx_runtime::{CancellationToken, Config, ServiceArgs, ServiceInfo, launch, serve};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use config::TrainerLimits;
pub use error::RunError;

use crate::service::TrainerService;

/// What tells the trainer from the other services.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "trainer",
    grpc_name: "sphinx.v1.Trainer",
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7001),
};

/// Serves until `shutdown` is cancelled, then drains.
///
/// # Errors
/// [`RunError`] if the store, the key vault's address or the listener cannot be used.
pub async fn run(
    config: Config<TrainerLimits>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let trainer = TrainerService::new(&config, shutdown.clone())?;
    let routes = Routes::new(TrainerServer::new(trainer));
    Ok(serve(&SERVICE, &config.server, listener, routes, shutdown).await?)
}

/// The whole process: configuration, logs, signals, exit code.
pub fn main(args: &ServiceArgs) -> ExitCode {
    launch(&SERVICE, args, run)
}
