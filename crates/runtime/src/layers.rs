//! The layers every request of every service passes, in one list.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::service::Routes;
use tower::timeout::TimeoutLayer;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::classify::GrpcFailureClass;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::admission::AdmissionLayer;
use crate::audit::Recorder;
use crate::body::{REQUEST_ID, impatient, paced, panicked};
use crate::config::ServerConfig;
use crate::guard::Guard;
use crate::identity::{IdentityLayer, credential_for_log, identify, tenant_for_log};
use crate::metrics::{MeterLayer, Metrics};
use crate::record::RecordLayer;
use crate::rescue::RescueLayer;

/// The trace that a request goes on with, by W3C's recommendation "Trace Context".
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Puts the layers around a service's routes. A request meets them from top to bottom, a reply from
/// bottom to top.
pub(crate) fn wrap(
    service: &'static str,
    config: &ServerConfig,
    (admission, guard, metrics): (AdmissionLayer, &Guard, &Metrics),
    routes: Routes,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    let idle = config.idle_timeout();
    let timeout = config.request_timeout();
    let gate = guard.gate.clone();
    let recorder = Recorder { service, log: guard.audit.clone() };
    let refusing = recorder.clone();
    ServiceBuilder::new()
        // 0. Whatever comes is measured, refused or not.
        .layer(MeterLayer(metrics.clone()))
        // The tower-http bodies below become tonic's again.
        .map_response(|reply: Response<_>| reply.map(Body::new))
        // 1. A foreign request id is kept only if it cannot spoil a log line.
        .map_request(without_odd_request_id)
        // 2. Everything from here on has an id, and every reply carries it, errors included.
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        // 3. Who asks, and whether he may: known from here on, from the head of the request alone.
        .map_request(move |request| identify(&gate, &recorder, request))
        // 4. A span per RPC around all that can go wrong, so that each log line has the id.
        .layer(
            TraceLayer::new_for_grpc()
                .make_span_with(move |request: &Request<_>| span(service, request))
                .on_request(())
                .on_response(())
                .on_eos(finished)
                .on_failure(failed),
        )
        // 5. A panic below costs one reply, not the process.
        .layer(CatchPanicLayer::custom(|_| panicked().into_http::<Body>()))
        // 6. What the layers below report as errors becomes a status: nothing passes this line.
        .layer(RescueLayer { timeout })
        // 7. Whoever is not let in is refused here, and takes no place from anybody.
        .layer(IdentityLayer { recorder: refusing })
        // 8. A place or a refusal, before any work and outside the timeout: nobody waits in a
        //    queue.
        .layer(admission)
        // 9. How requests end is recorded, of those that had a place.
        .layer(RecordLayer)
        // 10. Time until the head of the reply. A unary handler has then finished; a streaming one
        //    has only begun, so a long training session is never cut by it.
        .layer(TimeoutLayer::new(timeout))
        // 11. Time between two messages of a request's stream, which is what ends a silent session.
        .map_request(move |request: Request<Body>| request.map(|body| impatient(body, idle)))
        // 12. Bytes of a tenant that is ahead of its rate wait here, which is no silence of the
        //    client.
        .map_request(paced)
        .service(routes)
}

fn without_odd_request_id<B>(mut request: Request<B>) -> Request<B> {
    let plain = |id: &HeaderValue| {
        id.len() <= 64 && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !plain(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// The span of one RPC: who asks for what. Payloads never appear in it.
fn span<B>(service: &'static str, request: &Request<B>) -> Span {
    let header =
        |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
    let (tenant, credential) = (tenant_for_log(request), credential_for_log(request));
    let request_id = header(REQUEST_ID).unwrap_or_default();
    let span = tracing::info_span!("rpc", service, method, tenant, credential, request_id);
    if let Some(traceparent) = header(TRACEPARENT) {
        sphinx_telemetry::follow(&span, traceparent);
    }
    span
}

fn finished(trailers: Option<&HeaderMap>, time: Duration, _: &Span) {
    let ok = trailers.and_then(|map| map.get("grpc-status")).is_some_and(|code| code == "0");
    if ok {
        tracing::debug!(millis = time.as_millis() as u64, "finished");
    }
}

fn failed(class: GrpcFailureClass, time: Duration, _: &Span) {
    tracing::info!(cause = %class, millis = time.as_millis() as u64, "finished with an error");
}
