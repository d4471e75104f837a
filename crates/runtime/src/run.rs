//! From a configuration and a listener to a service that has drained.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::compute::{Compute, ComputeError};
use crate::config::Config;
use crate::guard::{Guard, GuardError};
use crate::serve::{ServeError, serve};
use crate::service::{OpenError, Service};

/// Why a service ended other than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The compute threads cannot be started.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// Certificates, credentials or the audit log cannot be used.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The store or an address cannot be used.
    #[error("{0}")]
    Open(OpenError),
    /// The transport failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Opens a service and serves it on `listener` until `shutdown` is cancelled and its RPCs have
/// ended.
///
/// # Errors
/// [`RunError`] when threads cannot be started, the service cannot open or the transport fails.
pub async fn run<S: Service>(
    config: Config<S::Limits>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    tracing::info!(store = config.store, "objects");
    let compute = Compute::new(config.compute_threads)?;
    let guard = Guard::open(S::INFO.name, &config.tls, &config.access, &config.audit)?;
    let opened = S::open(&config, compute, shutdown.clone()).await;
    let service = opened.map_err(RunError::Open)?;
    let served = serve(&S::INFO, &config.server, &guard, listener, service.routes(), shutdown);
    let served = tokio::select! {
        served = served => served,
        never = service.background() => match never {},
    };
    guard.flush().await;
    Ok(served?)
}
