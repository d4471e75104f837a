//! Errors of layers become statuses.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::body::panicked;

/// Makes the service below infallible.
#[derive(Debug, Clone)]
pub(crate) struct RescueLayer {
    /// The time limit in force below, for the message.
    pub(crate) timeout: Duration,
}

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;

    fn layer(&self, inner: S) -> Rescue<S> {
        Rescue { inner, timeout: self.timeout }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Rescue<S> {
    inner: S,
    timeout: Duration,
}

impl<S> Service<Request<Body>> for Rescue<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    /// Always ready: an inner service that is not is waited for, or fails, in `call`.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reply = self.inner.clone().oneshot(request);
        let timeout = self.timeout;
        Box::pin(async move { Ok(reply.await.unwrap_or_else(|error| rescue(&error, timeout))) })
    }
}

fn rescue(error: &BoxError, timeout: Duration) -> Response<Body> {
    if error.is::<Elapsed>() {
        Status::deadline_exceeded(format!("no reply within {} ms", timeout.as_millis())).into_http()
    } else {
        tracing::error!(%error, "a layer failed");
        panicked().into_http()
    }
}
