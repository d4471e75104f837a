//! A reply's body, with an eye on the status at its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

/// What wants to know how a reply ends. It is dropped when nothing more is sent.
pub(crate) trait Ending: Send + 'static {
    /// The reply says how it ends.
    fn ends_with(&mut self, code: Code);
}

/// Tells `ending` of the status of a reply, whether that comes at its head or at its end.
pub(crate) fn watch<B>(reply: Response<B>, mut ending: impl Ending) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Send + 'static,
{
    read(reply.headers(), &mut ending);
    reply.map(|body| Body::new(Watched { body, ending }))
}

fn read(headers: &HeaderMap, ending: &mut impl Ending) {
    if let Some(status) = headers.get(Status::GRPC_STATUS) {
        ending.ends_with(Code::from_bytes(status.as_bytes()));
    }
}

pin_project_lite::pin_project! {
    struct Watched<B, E> {
        #[pin]
        body: B,
        ending: E,
    }
}

impl<B, E> http_body::Body for Watched<B, E>
where
    B: http_body::Body<Data = Bytes, Error = Status>,
    E: Ending,
{
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
            read(trailers, this.ending);
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
