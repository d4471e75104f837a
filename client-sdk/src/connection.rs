//! A connection to one service whose errors are the SDK's.

use std::fmt;
use std::time::Duration;

use sphinx_channel::{Address, Security, TenantChannel};
use sphinx_proto::TenantId;
use sphinx_wire::Mismatch;
use tonic::Status;

use crate::error::ClientError;
use crate::witness::{Sight, Witness};

/// A lazily made connection to one service. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    inner: sphinx_channel::Connection,
    witness: Option<Witness>,
}

impl Connection {
    pub(crate) fn new(
        service: &'static str,
        address: &str,
        tenant: &TenantId,
        security: &Security,
    ) -> Result<Self, ClientError> {
        let inner = sphinx_channel::Connection::new(service, address, tenant, security)?;
        Ok(Self { inner, witness: None })
    }

    /// Shows a witness what leaves by this connection.
    pub(crate) fn witnessed(self, witness: Witness) -> Self {
        Self { witness: Some(witness), ..self }
    }

    /// What a witness, if there is one, is shown.
    pub(crate) fn show(&self, sight: Sight<'_>) {
        if let Some(witness) = &self.witness {
            witness.see(sight);
        }
    }

    /// Where the service is.
    pub(crate) fn address(&self) -> &Address {
        self.inner.address()
    }

    /// Sends a request, again with growing pauses while the service is away or overloaded.
    pub(crate) async fn call<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        Ok(self.inner.call(attempt).await?)
    }

    /// As [`Connection::call`], also again when the state that attempts begin by reading has
    /// changed.
    pub(crate) async fn call_rereading<T, F, A>(&self, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(TenantChannel) -> A,
        A: Future<Output = Result<T, Status>>,
    {
        Ok(self.inner.call_rereading(attempt).await?)
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
        Ok(self.inner.call_within(deadline, attempt).await?)
    }

    /// The error that a final status stands for.
    pub(crate) fn refused(&self, status: &Status) -> ClientError {
        self.inner.refused(status).into()
    }

    /// An answer that the protocol does not allow.
    pub(crate) fn protocol(
        &self,
        got: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> ClientError {
        self.inner.protocol(got, expected).into()
    }

    /// A payload that does not have the agreed form.
    pub(crate) fn mismatch(&self, Mismatch { got, expected }: Mismatch) -> ClientError {
        self.protocol(got, expected)
    }
}
