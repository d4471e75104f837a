//! From a configuration and a listener to a service that has drained.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::compute::{Compute, ComputeError};
use crate::config::{Config, MetricsConfig};
use crate::guard::{Guard, GuardError};
use crate::metrics::{self, Metrics};
use crate::readiness::{keep_looking, ready};
use crate::serve::{ServeError, Served, serve};
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
    /// The page of metrics cannot be served at its address.
    #[error("metrics.listen: cannot listen on {address}: {cause}")]
    MetricsAddress {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
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
    let metrics = Metrics::new(&S::INFO, config.metrics.per_model);
    let page = page(&config.metrics).await?;
    let compute = Compute::new(config.compute_threads)?.watched(&metrics);
    let guard = Guard::open(S::INFO.name, &config.tls, &config.access, &config.audit)?;
    let opened = S::open(&config, compute, &metrics, shutdown.clone()).await;
    let service = opened.map_err(RunError::Open)?;
    let served =
        Served { service: &S::INFO, config: &config.server, guard: &guard, metrics: &metrics };
    let ready = ready(&service, &metrics);
    // Boxed: a future of this size would be moved with every future that waits for it.
    let served = Box::pin(serve(served, listener, service.routes(), ready, shutdown));
    let served = tokio::select! {
        served = served => served,
        never = service.background() => match never {},
        never = metrics::serve(page, metrics.clone()) => match never {},
        never = keep_looking(&service, &metrics) => match never {},
    };
    guard.flush().await;
    Ok(served?)
}

/// Where the page of metrics is asked for, if it is anywhere.
async fn page(config: &MetricsConfig) -> Result<Option<TcpListener>, RunError> {
    // Checked when the configuration was loaded.
    let Some(address) = config.address().ok().flatten() else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|cause| RunError::MetricsAddress { address, cause })?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!(%address, "metrics");
    Ok(Some(listener))
}
