//! Whose request it is: read once, by a layer, before anything else looks at the request.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use sphinx_access::Digest;
use sphinx_proto::{TenantId, to_status};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::audit::{Object, Recorder, Subject};
use crate::body::REQUEST_ID;
use crate::guard::{Admitted, Gate, Turned};

/// Who makes a request; among the extensions of every request that reaches an RPC.
#[derive(Debug, Clone)]
pub struct Principal {
    pub(crate) subject: Subject,
    pub(crate) recorder: Recorder,
}

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

    /// Whose keys and models are meant: known to a handler when it has said what it is about to act
    /// on, and the audit log has it, if there is one. A handler that acts on several objects says
    /// so for each.
    ///
    /// # Errors
    /// UNAVAILABLE if the log cannot be written; nothing may be done then.
    pub async fn acts_on(&self, object: Object<'_>) -> Result<TenantId, Status> {
        self.recorder.begins(&self.subject, object).await.map_err(to_status)?;
        Ok(self.subject.tenant.clone())
    }
}

/// Reads who makes a request, and keeps it with the request.
pub(crate) fn identify<B>(gate: &Gate, recorder: &Recorder, mut request: Request<B>) -> Request<B> {
    let certificate = request.extensions().get().and_then(|ClientCertificate(shown)| *shown);
    let admitted = gate.admit(request.uri().path(), request.headers(), certificate);
    // What is a secret goes no further, so that nothing below can show it.
    request.headers_mut().remove(http::header::AUTHORIZATION);
    match admitted {
        Ok(Admitted { tenant, credential }) => {
            let rpc = request.uri().path().trim_start_matches('/').to_owned();
            let subject = Subject { tenant, credential, rpc, request: request_id(&request) };
            let principal = Principal { subject, recorder: recorder.clone() };
            request.extensions_mut().insert(principal);
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
    principal.map_or_else(|| "invalid".to_owned(), |principal| principal.subject.tenant.to_string())
}

/// The credential as a log line names it: its id, or nothing.
pub(crate) fn credential_for_log<B>(request: &Request<B>) -> String {
    let principal = request.extensions().get::<Principal>();
    principal.and_then(|principal| principal.subject.credential.clone()).unwrap_or_default()
}

fn request_id<B>(request: &Request<B>) -> String {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    id.unwrap_or_default().to_owned()
}

/// Refuses requests that are not let in.
#[derive(Debug, Clone)]
pub(crate) struct IdentityLayer {
    pub(crate) recorder: Recorder,
}

impl<S> Layer<S> for IdentityLayer {
    type Service = Identified<S>;

    fn layer(&self, inner: S) -> Identified<S> {
        Identified { inner, recorder: self.recorder.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Identified<S> {
    inner: S,
    recorder: Recorder,
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
                // Of strangers nothing is recorded: they could fill the disk.
                if let Some(credential) = turned.credential() {
                    let rpc = request.uri().path().trim_start_matches('/');
                    let id = request_id(&request);
                    self.recorder.denied(credential, rpc, &id, refused.code());
                }
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
