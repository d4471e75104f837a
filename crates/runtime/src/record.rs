//! A layer that records how requests end.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::identity::Principal;
use crate::watched::{self, watch};

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
        let Some(ending) = ending else { return Box::pin(reply) };
        Box::pin(async move {
            let reply = reply.await?;
            Ok(watch(reply, ending))
        })
    }
}

/// Records the end of a request when it is dropped, which is when nothing more is sent.
#[derive(Debug)]
struct Ending {
    who: Principal,
    code: Option<Code>,
}

impl watched::Ending for Ending {
    fn ends_with(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = self.code.map_or_else(|| "unanswered".to_owned(), |code| format!("{code:?}"));
        self.who.recorder.ended(&self.who.subject, outcome);
    }
}
