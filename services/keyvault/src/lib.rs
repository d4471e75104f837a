//! KeyVault: keeps the public and evaluation keys of every tenant. It has no type for a secret key.
//!
//! The way of a request: `rpc/<name>.rs` reads who asks and for what, calls [`vault::Vault`] and
//! converts the answer.
#![deny(clippy::indexing_slicing)]

mod config;
mod error;
mod evaluation;
mod layout;
mod material;
mod revocation;
mod rpc;
mod secrets;
mod service;
mod vault;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sphinx_channel::KEY_VAULT_PORT;
use sphinx_proto::v1::key_vault_server::SERVICE_NAME;
use sphinx_runtime::{CancellationToken, RunError, ServiceInfo};
use tokio::net::TcpListener;

pub use config::VaultLimits;
pub use service::KeyVaultService;

/// This service's configuration.
pub type Config = sphinx_runtime::Config<VaultLimits>;

/// What tells this service from the others.
pub const SERVICE: ServiceInfo = ServiceInfo {
    name: "keyvault",
    grpc_name: SERVICE_NAME,
    version: env!("CARGO_PKG_VERSION"),
    default_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), KEY_VAULT_PORT),
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
    sphinx_runtime::run::<KeyVaultService>(config, listener, shutdown).await
}
