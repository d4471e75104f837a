//! The layer that measures requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Metrics;
use super::rpc::RpcMeter;
use crate::watched::{self, watch};

/// Measures every request, refused ones included, so it stands outermost.
#[derive(Debug, Clone)]
pub(crate) struct MeterLayer(pub(crate) Metrics);

impl<S> Layer<S> for MeterLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { inner, metrics: self.0.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Metered<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let meter = self.metrics.0.rpcs.of(request.uri().path());
        meter.running.inc();
        let (received, sent) = (meter.received.clone(), meter.sent.clone());
        let ending =
            Ending { metrics: self.metrics.clone(), meter, begun: Instant::now(), code: None };
        let request = request.map(|body| Body::new(Counted { body, bytes: received }));
        let reply = self.inner.call(request);
        Box::pin(async move {
            let reply = reply.await?;
            Ok(watch(reply.map(|body| Counted { body, bytes: sent }), ending))
        })
    }
}

/// Counts a request when it is dropped, which is when nothing more is sent.
#[derive(Debug)]
struct Ending {
    metrics: Metrics,
    meter: RpcMeter,
    begun: Instant,
    code: Option<Code>,
}

impl watched::Ending for Ending {
    fn ends_with(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.meter.running.dec();
        self.metrics.0.rpcs.ended(self.meter.rpc, self.code, self.begun.elapsed());
    }
}

pin_project_lite::pin_project! {
    /// A body whose bytes are counted as they pass.
    struct Counted {
        #[pin]
        body: Body,
        bytes: Counter,
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            this.bytes.inc_by(data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tower::service_fn;

    use super::*;
    use crate::info::ServiceInfo;

    const SERVICE: ServiceInfo = ServiceInfo {
        name: "metertest",
        grpc_name: "sphinx.v1.Trainer",
        version: "0",
        default_listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    };

    fn frames(count: usize) -> Body {
        let frame = || Ok::<_, Status>(Frame::data(Bytes::from_static(&[7; 1000])));
        Body::new(StreamBody::new(stream::iter((0..count).map(move |_| frame()))))
    }

    /// Sends a request of so many frames through the layer to a service that answers with as many.
    async fn send(metrics: &Metrics, count: usize, read: bool) {
        let echo = service_fn(move |request: Request<Body>| async move {
            request.into_body().collect().await.unwrap();
            let mut reply = Response::new(frames(count));
            reply.headers_mut().insert(Status::GRPC_STATUS, http::HeaderValue::from_static("0"));
            Ok::<_, Infallible>(reply)
        });
        let mut request = Request::new(frames(count));
        *request.uri_mut() = http::Uri::from_static("/sphinx.v1.Trainer/Train");
        let reply = MeterLayer(metrics.clone()).layer(echo).call(request).await.unwrap();
        if read {
            reply.into_body().collect().await.unwrap();
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_code_time_and_bytes() {
        let metrics = Metrics::new(&SERVICE, false);
        send(&metrics, 3, true).await;
        send(&metrics, 2, false).await;
        let text = metrics.text().unwrap();
        let rpc = r#"rpc="sphinx.v1.Trainer/Train""#;
        for line in [
            format!("sphinx_rpc_requests_total{{{rpc},code=\"OK\"}} 2"),
            format!("sphinx_rpc_duration_seconds_count{{{rpc},code=\"OK\"}} 2"),
            format!("sphinx_rpc_received_bytes_total{{{rpc}}} 5000"),
            format!("sphinx_rpc_sent_bytes_total{{{rpc}}} 3000"),
            format!("sphinx_rpc_running{{{rpc}}} 0"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    /// Nanoseconds of processor time of this thread that `work` takes, each of `times` times.
    async fn nanos(times: usize, mut work: impl AsyncFnMut()) -> f64 {
        let now = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let begun = now();
        for _ in 0..times {
            work().await;
        }
        let ended = now();
        let seconds = (ended.tv_sec - begun.tv_sec) as f64;
        (seconds * 1e9 + (ended.tv_nsec - begun.tv_nsec) as f64) / times as f64
    }

    /// A measurement, for docs/benchmarks.md.
    #[tokio::test]
    #[ignore = "prints what measuring costs"]
    async fn what_measuring_costs() {
        let metrics = Metrics::new(&SERVICE, false);
        let one = nanos(100_000, async || send(&metrics, 0, true).await).await;
        let many = nanos(1000, async || send(&metrics, 1000, true).await).await;
        let bare = nanos(1000, async || {
            frames(1000).collect().await.unwrap();
            frames(1000).collect().await.unwrap();
        });
        let frame = (many - one - bare.await) / 2000.0;
        let seconds = super::super::seconds();
        let piece = nanos(100_000, async || {
            let asked = Instant::now();
            let begun = Instant::now();
            seconds.observe((begun - asked).as_secs_f64());
            seconds.observe(begun.elapsed().as_secs_f64());
        });
        let work = metrics.work(crate::metrics::Work::Train);
        let product = nanos(100_000, async || {
            work.product(1, 1, 1);
            metrics.trained("evaluate", std::time::Duration::from_millis(3));
        });
        let (piece, product) = (piece.await, product.await);
        let page = nanos(100, async || drop(metrics.text().unwrap())).await;
        println!(
            "ns each: request {one:.0}, frame {frame:.0}, piece {piece:.0}, product {product:.0}, \
             page {page:.0}"
        );
    }
}
