//! Inference: answers the linear layers of stored models, on ciphertexts while the client prepares
//! and on uniformly masked integers while it recognises. It keeps nothing between calls and has no
//! type for a secret key.
//!
//! The way of a request: `rpc/<name>.rs` reads who asks and for what, gets the model from
//! [`models::Models`], computes with one of its [`model::LoadedStage`]s and converts the answer.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod linear;
mod model;
mod models;
mod one_shot;
mod rpc;
mod service;
mod units;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sphinx_channel::INFERENCE_PORT;
use sphinx_proto::v1::inference_server::SERVICE_NAME;
use sphinx_runtime::{CancellationToken, RunError, ServiceInfo};
use tokio::net::TcpListener;

pub use config::InferenceLimits;
pub use service::InferenceService;

/// This service's configuration.
pub type Config = sphinx_runtime::Config<InferenceLimits>;

/// What tells this service from the others.
pub const SERVICE: ServiceInfo = ServiceInfo {
    name: "inference",
    grpc_name: SERVICE_NAME,
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), INFERENCE_PORT),
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
    sphinx_runtime::run::<InferenceService>(config, listener, shutdown).await
}
