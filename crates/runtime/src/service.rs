//! What a service is to the runtime: how it opens, what it serves.

use std::convert::Infallible;
use std::error::Error;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::compute::Compute;
use crate::config::{Config, Limits};
use crate::info::ServiceInfo;
use crate::metrics::Metrics;

/// Why a service cannot open; only shown.
pub type OpenError = Box<dyn Error + Send + Sync>;

/// Whether something that a service needs answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it is: `store` or `keyvault`.
    pub dependency: &'static str,
    /// Why it does not, for the log.
    pub fault: Option<String>,
}

impl Probe {
    /// What came of asking.
    pub fn of<T, E: ToString>(dependency: &'static str, asked: Result<T, E>) -> Self {
        Self { dependency, fault: asked.err().map(|error| error.to_string()) }
    }
}

/// A service, as [`crate::run`] starts it.
pub trait Service: Sized + Send + Sync {
    /// What tells it from the others.
    const INFO: ServiceInfo;
    /// The `[limits]` table of its configuration.
    type Limits: Limits;

    /// Opens what the service needs. `compute` has the threads of the configuration, `shutdown` is
    /// cancelled when the service is to drain, and what it measures goes to `metrics`.
    ///
    /// # Errors
    /// What keeps the service from serving; nothing listens then.
    fn open(
        config: &Config<Self::Limits>,
        compute: Compute,
        metrics: &Metrics,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<Self, OpenError>> + Send;

    /// Its RPCs.
    fn routes(&self) -> Routes;

    /// Whether what it cannot serve without answers now.
    fn probe(&self) -> impl Future<Output = Vec<Probe>> + Send;

    /// What it does beside its RPCs, for as long as it serves.
    fn background(&self) -> impl Future<Output = Infallible> + Send {
        std::future::pending()
    }
}
