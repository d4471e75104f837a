//! Asking a running service whether it serves.

use std::net::SocketAddr;
use std::time::Duration;

use sphinx_tls::{Identity, pinned_client_config};
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response};

use crate::address::Address;
use crate::connector::Connector;
use crate::status::root_cause;

/// Connection and answer together; a service that takes longer is of no use to a client either.
const DEADLINE: Duration = Duration::from_secs(3);

/// Why a service does not count as healthy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HealthError {
    /// Nothing accepts connections there.
    #[error("no connection to {address}: {cause}")]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// What the system says.
        cause: String,
    },
    /// No answer in time.
    #[error("no answer from {address} within {} ms", DEADLINE.as_millis())]
    Silent {
        /// Where it was asked.
        address: SocketAddr,
    },
    /// Something else than this service listens there.
    #[error("{address} does not know {name}: {code:?}")]
    Unknown {
        /// Where it was asked.
        address: SocketAddr,
        /// Full gRPC name of the service.
        name: &'static str,
        /// Status code of the answer.
        code: Code,
    },
    /// It starts or drains.
    #[error("{address} answers {status} for {name}, expected SERVING")]
    NotServing {
        /// Where it was asked.
        address: SocketAddr,
        /// Full gRPC name of the service.
        name: &'static str,
        /// What it answers instead.
        status: ServingStatus,
    },
}

/// Asks the service of the full gRPC name `name` at `address`, by the standard gRPC health
/// protocol; one that speaks TLS by the certificate that it is known to show.
///
/// # Errors
/// [`HealthError`] unless it answers SERVING within 3 s.
pub async fn ask(
    address: SocketAddr,
    name: &'static str,
    shown: Option<&Identity>,
) -> Result<(), HealthError> {
    let answer = tokio::time::timeout(DEADLINE, answer(address, name, shown));
    answer.await.map_err(|_| HealthError::Silent { address })?
}

async fn answer(
    address: SocketAddr,
    name: &'static str,
    shown: Option<&Identity>,
) -> Result<(), HealthError> {
    let unreachable = |cause| HealthError::Unreachable { address, cause };
    let place = Address::from(address);
    let endpoint = place.endpoint(DEADLINE).map_err(|error| unreachable(error.to_string()))?;
    let connected = match shown {
        None => endpoint.connect().await,
        Some(shown) => {
            let config = pinned_client_config(&shown.certificate, Some(shown));
            let config = config.map_err(|error| unreachable(error.to_string()))?;
            let connector = Connector::new(config.into(), address.ip().into());
            endpoint.connect_with_connector(connector).await
        }
    };
    let channel = connected.map_err(|error| unreachable(root_cause(&error)))?;
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest { service: name.to_owned() });
    let unknown = |status: Status| HealthError::Unknown { address, name, code: status.code() };
    let status = match answer.await.map_err(unknown)?.into_inner().status() {
        health_check_response::ServingStatus::Serving => return Ok(()),
        health_check_response::ServingStatus::NotServing => ServingStatus::NotServing,
        health_check_response::ServingStatus::Unknown
        | health_check_response::ServingStatus::ServiceUnknown => ServingStatus::Unknown,
    };
    Err(HealthError::NotServing { address, name, status })
}
