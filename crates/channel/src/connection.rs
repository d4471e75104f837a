//! One connection to one service in the name of one tenant.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sphinx_proto::{Reason, TenantId};
use tonic::{Code, Status};

use crate::address::Address;
use crate::error::ChannelError;
use crate::retries::{Retries, may_pass, may_pass_reread};
use crate::security::{Dialler, Security};
use crate::status::{broken, root_cause, untrusted};
use crate::tenant::{Caller, TenantChannel};

/// Deadline for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is silent for so long is asked whether it is still there, also while no request is
/// under way.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The connection is given up if a peer that was asked says nothing for so long. Long enough for a
/// slow line full of ciphertexts.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// About six seconds in all, the length of a service's restart.
const RETRIES: Retries = Retries {
    pauses: &[
        Duration::from_millis(100),
        Duration::from_millis(300),
        Duration::from_millis(900),
        Duration::from_millis(1800),
        Duration::from_millis(2700),
    ],
    longest_hint: Duration::from_secs(30),
};
/// Bytes the service may send ahead on one stream; the default (64 kB) would make bulk streams of
/// ciphertexts wait for a window update every few rows.
const STREAM_WINDOW: u32 = 8 << 20;
/// Bytes the service may send ahead on all streams together.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A lazily made connection to one service. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    service: &'static str,
    address: Address,
    dialler: Dialler,
    caller: Caller,
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

impl Connection {
    /// Prepares a connection; it is made at the first request, and again whenever it breaks.
    ///
    /// # Errors
    /// [`ChannelError::Address`] for a text that is not an address, [`ChannelError::Security`] for
    /// one that may not be called, or certificates that cannot be used.
    pub fn new(
        service: &'static str,
        address: &str,
        tenant: &TenantId,
        security: &Security,
    ) -> Result<Self, ChannelError> {
        let wrong = |cause| ChannelError::Address { service, cause };
        let parsed: Address = address.parse().map_err(wrong)?;
        let endpoint = parsed
            .endpoint(CONNECT_TIMEOUT)
            .map_err(wrong)?
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let dialler = security.dialler(&parsed, endpoint);
        let dialler = dialler.map_err(|cause| ChannelError::Security { service, cause })?;
        let caller = Caller::new(tenant, security.token.as_ref());
        let channel = caller.on(dialler.connect_lazy());
        let current = Arc::new(Mutex::new(Current { channel, generation: 0 }));
        Ok(Self { service, address: parsed, dialler, caller, current })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets new requests connect anew, unless another one has seen to that since `generation`.
    fn give_up(&self, generation: u64) {
        let mut current = self.current();
        if current.generation == generation {
            current.channel = self.caller.on(self.dialler.connect_lazy());
            current.generation += 1;
        }
    }

    /// Where the service is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request, again with growing pauses while the service is away or overloaded.
    ///
    /// # Errors
    /// [`ChannelError::Unreachable`] or [`ChannelError::Refused`] after the last try.
    pub async fn call<T, F, A>(&self, attempt: F) -> Result<T, ChannelError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        self.tries(None, may_pass, attempt).await
    }

    /// As [`Connection::call`], for attempts that begin by reading the state which the rest depends
    /// on: also again when that state has changed meanwhile.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call_rereading<T, F, A>(&self, attempt: F) -> Result<T, ChannelError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        self.tries(None, may_pass_reread, attempt).await
    }

    /// As [`Connection::call`]; a try that takes longer than `deadline` is given up, and its
    /// connection with it: a path that swallows what is sent shows in no other way.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call_within<T, F, A>(
        &self,
        deadline: Duration,
        attempt: F,
    ) -> Result<T, ChannelError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        self.tries(Some(deadline), may_pass, attempt).await
    }

    async fn tries<T, F, A>(
        &self,
        deadline: Option<Duration>,
        again: fn(&Status) -> bool,
        mut attempt: F,
    ) -> Result<T, ChannelError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let one = || {
            let Current { channel, generation } = self.current().clone();
            let answer = attempt(channel);
            async move {
                let Some(deadline) = deadline else { return answer.await };
                tokio::time::timeout(deadline, answer).await.unwrap_or_else(|_| {
                    self.give_up(generation);
                    Err(late(deadline))
                })
            }
        };
        RETRIES.run(again, one).await.map_err(|status| self.refused(&status))
    }

    /// The error that a final status stands for.
    pub fn refused(&self, status: &Status) -> ChannelError {
        let service = self.service;
        // The transport itself failed: no service has spoken.
        let unavailable =
            status.code() == Code::Unavailable && !status.metadata().contains_key("x-request-id");
        if unavailable || broken(status) {
            if untrusted(status) {
                let (address, cause) = (self.address.to_string(), root_cause(status));
                return ChannelError::Untrusted { service, address, cause };
            }
            return ChannelError::Unreachable {
                service,
                address: self.address.to_string(),
                tries: RETRIES.tries(),
                cause: root_cause(status),
            };
        }
        let id = status.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
        ChannelError::Refused {
            service,
            code: status.code(),
            reason: Reason::of(status),
            message: status.message().to_owned(),
            request_id: id.map(str::to_owned),
        }
    }

    /// An answer that the protocol does not allow.
    pub fn protocol(&self, got: impl fmt::Display, expected: impl fmt::Display) -> ChannelError {
        ChannelError::Protocol {
            service: self.service,
            got: got.to_string(),
            expected: expected.to_string(),
        }
    }
}

fn late(deadline: Duration) -> Status {
    let late = Late(deadline);
    let mut status = Status::deadline_exceeded(late.to_string());
    status.set_source(Arc::new(late));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(address: &str) -> Result<Connection, ChannelError> {
        Connection::new("trainer", address, &TenantId::default(), &Security::default())
    }

    fn connection() -> Connection {
        connect("http://127.0.0.1:1").unwrap()
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_unreachable_and_no_refusal() {
        let error = connection().refused(&late(Duration::from_secs(3)));
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(text.contains("does not answer (6 tries): no answer within 3s"), "{text}");
        // The service's own word stays one.
        let refused = connection().refused(&Status::deadline_exceeded("nothing received"));
        assert!(matches!(refused, ChannelError::Refused { .. }), "{refused}");
    }

    #[tokio::test]
    async fn one_of_many_late_requests_connects_anew() {
        let connection = connection();
        let seen = connection.current().generation;
        (0..3).for_each(|_| connection.give_up(seen));
        assert_eq!(connection.clone().current().generation, seen + 1);
    }

    #[test]
    fn rejects_what_is_no_address_or_may_not_be_called() {
        let error = connect("keyvault:7003").unwrap_err();
        assert!(matches!(error, ChannelError::Address { service: "trainer", .. }), "{error}");
        let error = connect("http://far.example").unwrap_err();
        assert!(matches!(error, ChannelError::Security { service: "trainer", .. }), "{error}");
        assert!(error.to_string().contains("--insecure-cleartext"), "{error}");
    }
}
