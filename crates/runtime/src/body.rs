//! The body of a request, and how its silence ends a stream.

use std::time::Duration;

use http::HeaderName;
use http_body_util::BodyExt;
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
