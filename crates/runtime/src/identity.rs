//! Whose request it is: read once, by a layer, before anything else looks at the request.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use sphinx_proto::{ConversionError, TenantId};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::is_public;

/// Who makes a request; among the extensions of every request that reaches an RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose keys and models are meant.
    pub tenant: TenantId,
}

/// Why a request has no principal.
#[derive(Debug, Clone)]
struct Nobody(ConversionError);

impl Principal {
    /// Who makes `request`.
    ///
    /// # Errors
    /// INTERNAL for a request that has not passed the layers of [`crate::serve`].
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let principal = request.extensions().get::<Self>().cloned();
        principal.ok_or_else(|| Status::internal("the request has passed no identity layer"))
    }

    /// The tenant named by `x-sphinx-tenant`, or "default" when the request names none.
    ///
    /// # Errors
    /// [`ConversionError`] for a name outside the pattern, or for more than one name: which of them
    /// an authenticating proxy has checked would be a guess.
    fn read(headers: &HeaderMap) -> Result<Self, ConversionError> {
        let mut names = headers.get_all(TenantId::FIELD).iter();
        let Some(name) = names.next() else {
            return Ok(Self { tenant: TenantId::default() });
        };
        let also = names.count();
        if also > 0 {
            let (field, got) = (TenantId::FIELD, also + 1);
            return Err(ConversionError::Length { field, got, expected: 1 });
        }
        Ok(Self { tenant: TenantId::parse(String::from_utf8_lossy(name.as_bytes()))? })
    }
}

/// Reads who makes a request, and keeps it with the request.
pub(crate) fn identify<B>(mut request: Request<B>) -> Request<B> {
    match Principal::read(request.headers()) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
        }
        Err(error) => {
            request.extensions_mut().insert(Nobody(error));
        }
    }
    request
}

/// The tenant as a log line names it.
pub(crate) fn tenant_for_log<B>(request: &Request<B>) -> String {
    let principal = request.extensions().get::<Principal>();
    principal.map_or_else(|| "invalid".to_owned(), |principal| principal.tenant.to_string())
}

/// Refuses requests whose principal could not be read.
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
        match request.extensions().get::<Nobody>() {
            Some(Nobody(error)) if !is_public(&request) => {
                let refused = Status::from(error.clone());
                Box::pin(async move { Ok(refused.into_http()) })
            }
            Some(_) | None => Box::pin(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn named(names: &[&'static str]) -> Result<TenantId, ConversionError> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append("x-sphinx-tenant", HeaderValue::from_static(name));
        }
        Principal::read(&headers).map(|principal| principal.tenant)
    }

    #[test]
    fn the_default_tenant_needs_no_header() {
        assert_eq!(named(&[]), Ok(TenantId::default()));
        assert_eq!(named(&["acme"]), TenantId::parse("acme"));
    }

    #[test]
    fn rejects_bad_and_ambiguous_tenants() {
        let name = ConversionError::Name { field: "x-sphinx-tenant", got: "../acme".to_owned() };
        assert_eq!(named(&["../acme"]), Err(name));
        let count = ConversionError::Length { field: "x-sphinx-tenant", got: 2, expected: 1 };
        assert_eq!(named(&["acme", "other"]), Err(count));
    }

    #[test]
    fn rejects_a_request_that_passed_no_layer() {
        let error = Principal::of(&tonic::Request::new(())).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Internal);
    }
}
