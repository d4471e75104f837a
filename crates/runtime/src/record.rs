//! A layer that records how requests end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::identity::Principal;

/// Records how requests end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordLayer;

impl<S> Layer<S> for RecordLayer {
    type Service = Recorded<S>;

    fn layer(&self, inner: S) -> Recorded<S> {
        Recorded { inner }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Recorded<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Recorded<S>
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
        let principal = request.extensions().get::<Principal>();
        let recorded = principal.filter(|who| who.recorder.log.is_some());
        let ending = recorded.map(|who| Ending { who: who.clone(), code: None });
        let reply = self.inner.call(request);
        let Some(mut ending) = ending else { return Box::pin(reply) };
        Box::pin(async move {
            let reply = reply.await?;
            ending.read(reply.headers());
            Ok(reply.map(|body| Body::new(Watched { body, ending })))
        })
    }
}

/// Records the end of a request when it is dropped, which is when nothing more is sent.
#[derive(Debug)]
struct Ending {
    who: Principal,
    code: Option<Code>,
}

impl Ending {
    fn read(&mut self, headers: &HeaderMap) {
        let status = headers.get(Status::GRPC_STATUS);
        self.code = status.map(|status| Code::from_bytes(status.as_bytes()));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = self.code.map_or_else(|| "unanswered".to_owned(), |code| format!("{code:?}"));
        self.who.recorder.ended(&self.who.subject, outcome);
    }
}

pin_project_lite::pin_project! {
    /// A reply's body, with an eye on the status at its end.
    struct Watched {
        #[pin]
        body: Body,
        ending: Ending,
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            this.ending.read(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
