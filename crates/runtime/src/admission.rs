//! Admission: a place for every RPC, held until its reply has ended.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use sphinx_proto::{ErrorCode, RpcError, to_status};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::body::{Held, REQUEST_ID};

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Limits the RPCs served at once and refuses the surplus immediately.
///
/// `tower`'s concurrency limit gives the place back with the head of the reply, which for a
/// streaming RPC is before the work begins; here the reply's body holds it. Health and reflection
/// need no place: a busy service is not a dead one.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Semaphore>,
    limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("all {limit} places are taken; retry after {} ms", RETRY_AFTER.as_millis())]
struct Full {
    limit: usize,
}

impl AdmissionLayer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), limit }
    }

    /// Waits until no RPC is served any more, and takes all places, so that none begins again.
    pub(crate) async fn all_ended(&self) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(places) = Arc::clone(&self.places).acquire_many_owned(all).await {
            places.forget();
        }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Admission<S> {
    inner: S,
    layer: AdmissionLayer,
}

impl<S> Service<Request<Body>> for Admission<S>
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
        if is_public(&request) {
            return Box::pin(self.inner.call(request));
        }
        let Ok(permit) = Arc::clone(&self.layer.places).try_acquire_owned() else {
            let full = to_status(Full { limit: self.layer.limit });
            return Box::pin(async move { Ok(full.into_http()) });
        };
        let id = request.headers().get(REQUEST_ID).cloned();
        let reply = self.inner.call(request);
        Box::pin(async move { Ok(reply.await?.map(|body| Body::new(Held::new(body, permit, id)))) })
    }
}

/// Whether a request asks for health or reflection, which are everybody's.
pub(crate) fn is_public<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with("/grpc.")
}

impl RpcError for Full {
    fn code(&self) -> ErrorCode {
        ErrorCode::ResourceExhausted
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY_AFTER)
    }
}
