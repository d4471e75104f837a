//! What `--check-health` does, so that a container image needs no other program for its health
//! check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sphinx_channel::health::{self, HealthError};

use crate::config::TlsConfig;
use crate::info::ServiceInfo;

/// Why a service does not count as healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    /// The configuration leaves the port to the system, so nobody else can know it.
    #[error("server.listen is {0}: expected a fixed port to ask for its health")]
    AnyPort(SocketAddr),
    #[error(transparent)]
    Health(#[from] HealthError),
}

/// Asks the service that listens on `listen`, by its own name.
///
/// # Errors
/// [`CheckError`] unless it answers SERVING within 3 s.
pub(crate) async fn check(
    service: &ServiceInfo,
    listen: SocketAddr,
    tls: &TlsConfig,
) -> Result<(), CheckError> {
    if listen.port() == 0 {
        return Err(CheckError::AnyPort(listen));
    }
    // By the certificate that it has, and showing the same where clients have to show one.
    let shown = tls.files().map(|files| files.identity);
    Ok(health::ask(reachable(listen), service.grpc_name, shown.as_ref()).await?)
}

/// Where a process on the same machine reaches a service that listens there: nobody can connect to
/// "every address".
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests;
