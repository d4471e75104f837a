//! What a service is to the runtime: how it opens, what it serves.

use std::convert::Infallible;
use std::error::Error;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::compute::Compute;
use crate::config::{Config, Limits};
use crate::info::ServiceInfo;

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
