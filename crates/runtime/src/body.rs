//! Bodies: what a place in the service is held by, and how silence and panics end a stream.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use tonic::body::Body;
use tower_http::timeout::TimeoutBody;

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

pin_project_lite::pin_project! {
    /// A reply's body that holds its RPC's place until it ends, puts the request's id beside the
    /// status, and turns a panic of the stream behind it into INTERNAL instead of a broken
    /// connection.
    pub(crate) struct Held {
        #[pin]
        body: Body,
        request_id: Option<HeaderValue>,
        permit: Option<OwnedSemaphorePermit>,
        ended: bool,
    }
}

impl Held {
    pub(crate) fn new(
        body: Body,
        permit: OwnedSemaphorePermit,
        request_id: Option<HeaderValue>,
    ) -> Self {
        Self { body, request_id, permit: Some(permit), ended: false }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        // Unwind safety: after a panic the inner body is never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| this.body.poll_frame(cx)));
        let poll = match polled {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Some(trailers_after(&*panic))),
        };
        let over = match &poll {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(Some(Err(_)) | None) => true,
            Poll::Pending => false,
        };
        if over {
            *this.ended = true;
            this.permit.take();
        }
        let id = this.request_id;
        poll.map(|frame| frame.map(|frame| frame.map(|frame| identified(frame, id))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

/// Trailers with the id of their request: an error of a stream comes after the head that has it.
fn identified(frame: Frame<Bytes>, id: &mut Option<HeaderValue>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            if let Some(id) = id.take() {
                trailers.insert(REQUEST_ID, id);
            }
            Frame::trailers(trailers)
        }
        Err(other) => other,
    }
}

fn trailers_after(_panic: &(dyn Any + Send)) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    panicked().add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
