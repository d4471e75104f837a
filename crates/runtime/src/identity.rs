//! Whose request it is: read once, by a layer, before anything else looks at the request.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use sphinx_access::Digest;
use sphinx_proto::{TenantId, to_status};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::guard::{Admitted, Gate, Turned};

/// Who makes a request; among the extensions of every request that reaches an RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose keys and models are meant.
    pub tenant: TenantId,
}

/// The credential of a request, for the log.
#[derive(Debug, Clone)]
struct Shown(Option<String>);

/// The certificate that a connection's client has shown; among the extensions of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCertificate(pub(crate) Option<Digest>);

/// Why a request has no principal.
#[derive(Debug, Clone)]
struct Refused(Turned);

impl Principal {
    /// Who makes `request`.
    ///
    /// # Errors
    /// INTERNAL for a request that has not passed the layers of [`crate::serve`].
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let principal = request.extensions().get::<Self>().cloned();
        principal.ok_or_else(|| Status::internal("the request has passed no identity layer"))
    }
}

/// Reads who makes a request, and keeps it with the request.
pub(crate) fn identify<B>(gate: &Gate, mut request: Request<B>) -> Request<B> {
    let certificate = request.extensions().get().and_then(|ClientCertificate(shown)| *shown);
    let admitted = gate.admit(request.uri().path(), request.headers(), certificate);
    // What is a secret goes no further, so that nothing below can show it.
    request.headers_mut().remove(http::header::AUTHORIZATION);
    match admitted {
        Ok(Admitted { tenant, credential }) => {
            request.extensions_mut().insert(Principal { tenant });
            request.extensions_mut().insert(Shown(credential));
        }
        Err(turned) => {
            request.extensions_mut().insert(Refused(turned));
        }
    }
    request
}

/// The tenant as a log line names it.
pub(crate) fn tenant_for_log<B>(request: &Request<B>) -> String {
    let principal = request.extensions().get::<Principal>();
    principal.map_or_else(|| "invalid".to_owned(), |principal| principal.tenant.to_string())
}

/// The credential as a log line names it: its id, or nothing.
pub(crate) fn credential_for_log<B>(request: &Request<B>) -> String {
    let shown = request.extensions().get().and_then(|Shown(id)| id.clone());
    shown.unwrap_or_default()
}

/// Refuses requests that are not let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdentityLayer;

impl<S> Layer<S> for IdentityLayer {
    type Service = Identified<S>;

    fn layer(&self, inner: S) -> Identified<S> {
        Identified { inner }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Identified<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Identified<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.extensions().get::<Refused>() {
            Some(Refused(turned)) => {
                let refused = to_status(turned.clone());
                Box::pin(async move { Ok(refused.into_http()) })
            }
            None => Box::pin(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_request_that_passed_no_layer() {
        let error = Principal::of(&tonic::Request::new(())).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Internal);
    }
}
