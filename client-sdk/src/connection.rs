//! One connection to one service: address, tenant, retries.

use std::future::Future;
use std::time::Duration;

use sphinx_proto::TenantId;
use sphinx_proto::code::RETRY_AFTER_MS;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::error::{ClientError, transient};

/// Deadline for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between tries: about six seconds in all, the length of a service's restart.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
    Duration::from_millis(1800),
    Duration::from_millis(2700),
];
/// Bytes the service may send ahead on one stream and on the connection; the defaults (64 kB) would make bulk
/// streams of ciphertexts wait for a window update every few rows.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A channel whose requests name the tenant.
pub(crate) type TenantChannel = InterceptedService<Channel, NameTenant>;

/// A lazily made connection to one service. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    service: &'static str,
    address: String,
    channel: TenantChannel,
}

/// Adds the tenant's name to every request.
#[derive(Debug, Clone)]
pub(crate) struct NameTenant(MetadataValue<Ascii>);

impl Interceptor for NameTenant {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(TenantId::FIELD, self.0.clone());
        Ok(request)
    }
}

impl Connection {
    pub(crate) fn new(
        service: &'static str,
        address: &str,
        tenant: &TenantId,
    ) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address { service, address: address.to_owned() };
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|_| wrong())?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let name = MetadataValue::try_from(tenant.as_str()).map_err(|_| wrong())?;
        let channel = InterceptedService::new(endpoint.connect_lazy(), NameTenant(name));
        Ok(Self { service, address: address.to_owned(), channel })
    }

    pub(crate) fn channel(&self) -> TenantChannel {
        self.channel.clone()
    }

    /// Sends a request, again with growing pauses while the service is away or overloaded.
    pub(crate) async fn call<T, F, A>(&self, mut attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let status = match attempt(self.channel()).await {
                Ok(reply) => return Ok(reply),
                Err(status) => status,
            };
            match pauses.next() {
                Some(&pause) if transient(status.code()) || broken(&status) => {
                    tokio::time::sleep(asked_pause(&status).unwrap_or(pause)).await;
                }
                Some(_) | None => return Err(self.refused(&status)),
            }
        }
    }

    /// The error that a final status stands for.
    pub(crate) fn refused(&self, status: &Status) -> ClientError {
        let service = self.service;
        // The transport itself failed: no service has spoken.
        let unavailable =
            status.code() == Code::Unavailable && !status.metadata().contains_key("x-request-id");
        if unavailable || broken(status) {
            return ClientError::Unreachable {
                service,
                address: self.address.clone(),
                tries: PAUSES.len() + 1,
                cause: root_cause(status),
            };
        }
        let id = status.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
        ClientError::Refused {
            service,
            code: status.code(),
            message: status.message().to_owned(),
            request_id: id.map(str::to_owned),
        }
    }

    /// An answer that the protocol does not allow.
    pub(crate) fn protocol(
        &self,
        got: impl std::fmt::Display,
        expected: impl std::fmt::Display,
    ) -> ClientError {
        ClientError::Protocol {
            service: self.service,
            got: got.to_string(),
            expected: expected.to_string(),
        }
    }
}

/// Whether the connection broke while a request was under way: the transport's own status, which unlike a service's
/// has a cause. Its code depends on where the break was noticed.
fn broken(status: &Status) -> bool {
    let code = matches!(status.code(), Code::Unknown | Code::Cancelled | Code::Internal);
    code && std::error::Error::source(status).is_some()
}

fn asked_pause(status: &Status) -> Option<Duration> {
    let millis = status.metadata().get(RETRY_AFTER_MS)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

fn root_cause(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, status) { status.message().to_owned() } else { cause.to_string() }
}
