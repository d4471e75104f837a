//! Asking a running service whether it serves: what `--check-health` does, so that a container image
//! needs no other program for its health check.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tonic::{Code, Status, transport::Endpoint};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response, health_client::HealthClient},
};

use crate::service::ServiceInfo;

/// Connection and answer together; a service that takes longer is of no use to a client either.
const DEADLINE: Duration = Duration::from_secs(3);

/// Why a service does not count as healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HealthError {
    /// The configuration leaves the port to the system, so nobody else can know it.
    #[error("server.listen is {0}: expected a fixed port to ask for its health")]
    AnyPort(SocketAddr),
    /// Nothing accepts connections there.
    #[error("no connection to {address}: {cause}")]
    Unreachable { address: SocketAddr, cause: String },
    /// No answer in time.
    #[error("no answer from {address} within {} ms", DEADLINE.as_millis())]
    Silent { address: SocketAddr },
    /// Something else than this service listens there.
    #[error("{address} does not know {name}: {code:?}")]
    Unknown { address: SocketAddr, name: &'static str, code: Code },
    /// It starts or drains.
    #[error("{address} answers {status} for {name}, expected SERVING")]
    NotServing { address: SocketAddr, name: &'static str, status: ServingStatus },
}

/// Asks the service that listens on `listen`, by the standard gRPC health protocol and by its own name.
///
/// # Errors
/// [`HealthError`] unless it answers SERVING within 3 s.
pub(crate) async fn check(service: &ServiceInfo, listen: SocketAddr) -> Result<(), HealthError> {
    if listen.port() == 0 {
        return Err(HealthError::AnyPort(listen));
    }
    let address = reachable(listen);
    let answer = tokio::time::timeout(DEADLINE, ask(service, address));
    answer.await.map_err(|_| HealthError::Silent { address })?
}

async fn ask(service: &ServiceInfo, address: SocketAddr) -> Result<(), HealthError> {
    let name = service.grpc_name;
    let unreachable =
        |error: tonic::transport::Error| HealthError::Unreachable { address, cause: root(&error) };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(unreachable)?;
    let mut client = HealthClient::new(endpoint.connect().await.map_err(unreachable)?);
    let answer = client.check(HealthCheckRequest { service: name.to_owned() }).await;
    let unknown = |status: Status| HealthError::Unknown { address, name, code: status.code() };
    let status = match answer.map_err(unknown)?.into_inner().status() {
        health_check_response::ServingStatus::Serving => return Ok(()),
        health_check_response::ServingStatus::NotServing => ServingStatus::NotServing,
        health_check_response::ServingStatus::Unknown
        | health_check_response::ServingStatus::ServiceUnknown => ServingStatus::Unknown,
    };
    Err(HealthError::NotServing { address, name, status })
}

/// Where a process on the same machine reaches a service that listens there: "every address" is none
/// to connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

/// The first cause; what tonic says around it is only "transport error".
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "health/tests.rs"]
mod tests;
