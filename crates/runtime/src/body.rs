//! The body of a request: how its silence ends a stream, and how its tenant's rate holds it back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use sphinx_proto::TenantId;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tower_http::timeout::TimeoutBody;

use crate::rates::{BURST, Rates};

/// What tells a request from all others, in its head and in its reply.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request body that fails with DEADLINE_EXCEEDED when the next bytes do not come in time.
pub(crate) fn impatient(body: Body, idle: Duration) -> Body {
    Body::new(TimeoutBody::new(idle, body).map_err(move |error| {
        if error.is::<tower_http::timeout::TimeoutError>() {
            Status::deadline_exceeded(format!("nothing received for {} ms", idle.as_millis()))
        } else {
            Status::from_error(error)
        }
    }))
}

/// The status for a panic; message and place are in the log.
pub(crate) fn panicked() -> Status {
    Status::internal("internal fault; its cause is in the service's log under this x-request-id")
}

/// In which rate the bytes of a request count; among the extensions of requests that have a place.
#[derive(Debug, Clone)]
pub(crate) struct Pacing {
    pub(crate) rates: Arc<Rates>,
    pub(crate) tenant: TenantId,
}

/// Lets a request's body through no faster than its tenant may send. The transport's windows then
/// hold the client back: nothing is lost, and nothing more is held in memory.
pub(crate) fn paced(mut request: Request<Body>) -> Request<Body> {
    match request.extensions_mut().remove::<Pacing>() {
        Some(pacing) => request.map(|body| Body::new(Paced { body, pacing, pause: None })),
        None => request,
    }
}

pin_project_lite::pin_project! {
    /// A body whose bytes are counted, and which pauses while its tenant is ahead of its rate.
    struct Paced {
        #[pin]
        body: Body,
        pacing: Pacing,
        #[pin]
        pause: Option<Sleep>,
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if let Some(pause) = this.pause.as_mut().as_pin_mut() {
            ready!(pause.poll(cx));
            this.pause.set(None);
        }
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let Pacing { rates, tenant } = this.pacing;
            // Each pauses for what was counted until now, so that streams of one tenant take turns.
            let lead = rates.count(tenant, data.len() as u64, Instant::now());
            if lead > BURST {
                this.pause.set(Some(tokio::time::sleep(lead - BURST)));
            }
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
