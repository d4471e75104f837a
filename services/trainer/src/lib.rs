//! The trainer: evaluates the linear layers of a network on ciphertexts and updates its weights.
//!
//! It holds weights in the clear and biases encrypted. No type of this crate or of its dependencies
//! can hold a secret key.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod rpc;
mod service;
mod summary;
mod training;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sphinx_channel::TRAINER_PORT;
use sphinx_proto::v1::trainer_server::SERVICE_NAME;
use sphinx_runtime::{CancellationToken, RunError, ServiceInfo};
use tokio::net::TcpListener;

pub use config::TrainerLimits;
pub use service::TrainerService;

/// This service's configuration.
pub type Config = sphinx_runtime::Config<TrainerLimits>;

/// What tells this service from the others.
pub const SERVICE: ServiceInfo = ServiceInfo {
    name: "trainer",
    grpc_name: SERVICE_NAME,
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), TRAINER_PORT),
};

/// Serves on a listener until `shutdown` is cancelled and the running RPCs have ended.
///
/// # Errors
/// [`RunError`] when the service cannot open or the transport fails.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    sphinx_runtime::run::<TrainerService>(config, listener, shutdown).await
}
