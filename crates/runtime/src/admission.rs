//! Admission: a place for every RPC, held until its reply has ended.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use sphinx_proto::to_status;
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::body::{Pacing, REQUEST_ID};
use crate::config::ServerConfig;
use crate::identity::Principal;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::reply::Held;

/// Limits the RPCs served at once, by all and by each tenant, and refuses the surplus immediately.
///
/// `tower`'s concurrency limit gives the place back with the head of the reply, which for a
/// streaming RPC is before the work begins; here the reply's body holds it. Health and reflection
/// need no place: a busy service is not a dead one.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Places>,
    /// How long a reply may wait for its reader.
    patience: Duration,
}

impl AdmissionLayer {
    pub(crate) fn new(config: &ServerConfig, metrics: &Metrics) -> Self {
        let places = Arc::new(Places::new(config));
        metrics.watch_permits("requests", places.limit(), places.free());
        Self { places, patience: config.idle_timeout() }
    }

    /// Waits until no RPC is served any more; none begins again.
    pub(crate) async fn all_ended(&self) {
        self.places.all_ended().await;
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if is_public(&request) {
            return Box::pin(self.inner.call(request));
        }
        let principal = request.extensions().get::<Principal>();
        let tenant =
            principal.map(|principal| principal.subject.tenant.clone()).unwrap_or_default();
        let place = match self.layer.places.take(&tenant, Instant::now()) {
            Ok(place) => place,
            Err(full) => {
                let full = to_status(full);
                return Box::pin(async move { Ok(full.into_http()) });
            }
        };
        if let Some(rates) = self.layer.places.bytes() {
            request.extensions_mut().insert(Pacing { rates: Arc::clone(rates), tenant });
        }
        let id = request.headers().get(REQUEST_ID).cloned();
        let patience = self.layer.patience;
        let reply = self.inner.call(request);
        Box::pin(async move {
            Ok(reply.await?.map(|body| Body::new(Held::new(body, place, id, patience))))
        })
    }
}

/// Whether a request asks for health or reflection, which are everybody's.
pub(crate) fn is_public<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with("/grpc.")
}
