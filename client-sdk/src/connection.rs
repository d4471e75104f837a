//! A connection to one service whose errors are the SDK's.

use std::fmt;
use std::time::Duration;

use sphinx_channel::{Security, TenantChannel};
use sphinx_proto::TenantId;
use sphinx_wire::Mismatch;
use tonic::Status;

use crate::error::ClientError;

/// A lazily made connection to one service. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(sphinx_channel::Connection);

impl Connection {
    pub(crate) fn new(
        service: &'static str,
        address: &str,
        tenant: &TenantId,
        security: &Security,
    ) -> Result<Self, ClientError> {
        Ok(Self(sphinx_channel::Connection::new(service, address, tenant, security)?))
    }

    /// Sends a request, again with growing pauses while the service is away or overloaded.
    pub(crate) async fn call<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        Ok(self.0.call(attempt).await?)
    }

    /// As [`Connection::call`], also again when the state that attempts begin by reading has
    /// changed.
    pub(crate) async fn call_rereading<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        Ok(self.0.call_rereading(attempt).await?)
    }

    /// As [`Connection::call`]; a try that takes longer than `deadline` is given up.
    pub(crate) async fn call_within<T, F, A>(
        &self,
        deadline: Duration,
        attempt: F,
    ) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        Ok(self.0.call_within(deadline, attempt).await?)
    }

    /// The error that a final status stands for.
    pub(crate) fn refused(&self, status: &Status) -> ClientError {
        self.0.refused(status).into()
    }

    /// An answer that the protocol does not allow.
    pub(crate) fn protocol(
        &self,
        got: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> ClientError {
        self.0.protocol(got, expected).into()
    }

    /// A payload that does not have the agreed form.
    pub(crate) fn mismatch(&self, Mismatch { got, expected }: Mismatch) -> ClientError {
        self.protocol(got, expected)
    }
}
