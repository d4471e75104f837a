//! One connection to one service: address, tenant, retries.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use sphinx_proto::code::RETRY_AFTER_MS;
use sphinx_proto::{Reason, TenantId};
use sphinx_wire::Mismatch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::error::ClientError;
use crate::verdict::Verdict;

/// Deadline for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is silent for so long is asked whether it is still there, also while no request is under way,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// and the connection is given up if nothing comes within this. Long enough for a slow line full of ciphertexts.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Least pauses between tries: about six seconds in all, the length of a service's restart.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
    Duration::from_millis(1800),
    Duration::from_millis(2700),
];
/// Longest pause that a service may ask for.
const LONGEST_HINT: Duration = Duration::from_secs(30);
/// Pauses are up to this much longer, so that clients that were turned away together do not come back together.
const JITTER: f64 = 0.25;
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
    endpoint: Endpoint,
    tenant: NameTenant,
    current: Arc<Mutex<Current>>,
}

/// The channel that new requests take.
#[derive(Debug, Clone)]
struct Current {
    channel: TenantChannel,
    /// Channels given up before it.
    generation: u64,
}

/// No answer came in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

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
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let name = MetadataValue::try_from(tenant.as_str()).map_err(|_| wrong())?;
        let tenant = NameTenant(name);
        let channel = InterceptedService::new(endpoint.connect_lazy(), tenant.clone());
        let current = Arc::new(Mutex::new(Current { channel, generation: 0 }));
        Ok(Self { service, address: address.to_owned(), endpoint, tenant, current })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets new requests connect anew, unless another one has seen to that since `generation`.
    fn give_up(&self, generation: u64) {
        let mut current = self.current();
        if current.generation == generation {
            let fresh = self.endpoint.connect_lazy();
            current.channel = InterceptedService::new(fresh, self.tenant.clone());
            current.generation += 1;
        }
    }

    /// Sends a request, again with growing pauses while the service is away or overloaded.
    pub(crate) async fn call<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        self.tries(None, again, attempt).await
    }

    /// As [`Connection::call`], for attempts that begin by reading the state which the rest depends on: also again
    /// when that state has changed meanwhile.
    pub(crate) async fn call_rereading<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let again = |status: &Status| again(status) || verdict(status) == Verdict::Reread;
        self.tries(None, again, attempt).await
    }

    /// As [`Connection::call`]; a try that takes longer than `deadline` is given up, and its connection with it: a
    /// path that swallows what is sent shows in no other way.
    pub(crate) async fn call_within<T, F, A>(
        &self,
        deadline: Duration,
        attempt: F,
    ) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        self.tries(Some(deadline), again, attempt).await
    }

    async fn tries<T, F, A>(
        &self,
        deadline: Option<Duration>,
        again: impl Fn(&Status) -> bool,
        mut attempt: F,
    ) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let Current { channel, generation } = self.current().clone();
            let answer = match deadline {
                Some(deadline) => match tokio::time::timeout(deadline, attempt(channel)).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.give_up(generation);
                        Err(late(deadline))
                    }
                },
                None => attempt(channel).await,
            };
            let status = match answer {
                Ok(reply) => return Ok(reply),
                Err(status) => status,
            };
            match pauses.next() {
                Some(&pause) if again(&status) || broken(&status) => {
                    tokio::time::sleep(pause_before_next(&status, pause)).await;
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
            reason: Reason::of(status),
            message: status.message().to_owned(),
            request_id: id.map(str::to_owned),
        }
    }

    /// A payload that does not have the agreed form.
    pub(crate) fn mismatch(&self, Mismatch { got, expected }: Mismatch) -> ClientError {
        self.protocol(got, expected)
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

/// Whether the service itself says that the same request may be sent again.
fn again(status: &Status) -> bool {
    verdict(status) == Verdict::Again
}

fn verdict(status: &Status) -> Verdict {
    Verdict::of(status.code(), Reason::of(status))
}

/// Whether the connection broke while a request was under way: the transport's own status, which unlike a service's
/// has a cause. Its code depends on where the break was noticed.
fn broken(status: &Status) -> bool {
    let code = matches!(
        status.code(),
        Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded
    );
    code && std::error::Error::source(status).is_some()
}

fn late(deadline: Duration) -> Status {
    let late = Late(deadline);
    let mut status = Status::deadline_exceeded(late.to_string());
    status.set_source(Arc::new(late));
    status
}

/// What the service asks for, and no less than what is due.
fn pause_before_next(status: &Status, due: Duration) -> Duration {
    let asked = asked_pause(status).unwrap_or_default().min(LONGEST_HINT);
    asked.max(due).mul_f64(rand::rng().random_range(1.0..1.0 + JITTER))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_lengthen_pauses_and_never_shorten_them() {
        let hinted = |millis: u64| {
            let mut status = Status::resource_exhausted("full");
            status.metadata_mut().insert(RETRY_AFTER_MS, millis.into());
            status
        };
        let due = Duration::from_millis(900);
        for (hint, expected) in [(200, 900), (1500, 1500), (3_600_000, 30_000)] {
            let expected = Duration::from_millis(expected);
            let pauses = [(); 100].map(|()| pause_before_next(&hinted(hint), due));
            let range = expected..expected.mul_f64(1.0 + JITTER);
            assert!(pauses.iter().all(|pause| range.contains(pause)), "{pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no two clients part");
        }
        assert!(pause_before_next(&Status::unavailable("away"), due) >= due);
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_unreachable_and_no_refusal() {
        let tenant = TenantId::default();
        let connection = Connection::new("inference", "http://127.0.0.1:1", &tenant).unwrap();
        let error = connection.refused(&late(Duration::from_secs(3)));
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(text.contains("does not answer (6 tries): no answer within 3s"), "{text}");
        // The service's own word stays one.
        let refused = connection.refused(&Status::deadline_exceeded("nothing received"));
        assert!(matches!(refused, ClientError::Refused { .. }), "{refused}");
    }

    #[tokio::test]
    async fn one_of_many_late_requests_connects_anew() {
        let tenant = TenantId::default();
        let connection = Connection::new("inference", "http://127.0.0.1:1", &tenant).unwrap();
        let seen = connection.current().generation;
        (0..3).for_each(|_| connection.give_up(seen));
        assert_eq!(connection.clone().current().generation, seen + 1);
    }
}
