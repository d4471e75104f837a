//! The body of a reply: it holds its RPC's place until it has ended or is not read any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::body::{REQUEST_ID, panicked};
use crate::places::Place;

/// A reply's body that holds its RPC's place until it ends, puts the request's id beside the
/// status, turns a panic of the stream behind it into INTERNAL instead of a broken connection, and
/// lets go of all that it holds if its client does not take the next piece in time: what is ready,
/// what is computed ahead, and the place.
pub(crate) struct Held {
    state: Arc<Mutex<State>>,
    /// Watches a reply that has begun.
    watch: Option<AbortHandle>,
    patience: Duration,
}

struct State {
    /// What is still to come; `None` once it has ended or was given up.
    rest: Option<(Body, Place)>,
    request_id: Option<HeaderValue>,
    /// Since when a piece waits for its reader; `None` while the reader waits for a piece.
    waiting: Option<Instant>,
    /// Whether it was given up, and that was not said yet.
    given_up: bool,
}

impl Held {
    pub(crate) fn new(
        body: Body,
        place: Place,
        request_id: Option<HeaderValue>,
        patience: Duration,
    ) -> Self {
        let rest = Some((body, place));
        let state = State { rest, request_id, waiting: None, given_up: false };
        Self { state: Arc::new(Mutex::new(state)), watch: None, patience }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let poll = lock(&self.state).poll(cx, self.patience);
        let begun = matches!(&poll, Poll::Ready(Some(Ok(frame))) if frame.is_data());
        if begun && self.watch.is_none() {
            let watching = tokio::spawn(watch(Arc::clone(&self.state), self.patience));
            self.watch = Some(watching.abort_handle());
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        match &state.rest {
            Some((body, _)) => body.is_end_stream(),
            None => !state.given_up,
        }
    }
}

impl State {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        patience: Duration,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some((body, _)) = &mut self.rest else {
            let status = std::mem::take(&mut self.given_up).then(|| unread(patience));
            let trailers = status.map(|status| self.trailers(&status));
            return Poll::Ready(trailers.map(|frame| frame.map(|frame| self.identified(frame))));
        };
        self.waiting = None;
        // Unwind safety: after a panic the inner body is never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx)));
        let poll = match polled {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Some(self.trailers(&panicked()))),
        };
        match &poll {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => self.waiting = Some(Instant::now()),
            Poll::Ready(_) => self.rest = None,
            Poll::Pending => {}
        }
        poll.map(|frame| frame.map(|frame| frame.map(|frame| self.identified(frame))))
    }

    /// A status at the end of a stream.
    fn trailers(&self, status: &Status) -> Result<Frame<Bytes>, Status> {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }

    /// Trailers with the id of their request: an error of a stream comes after the head that has
    /// it.
    fn identified(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                if let Some(id) = self.request_id.take() {
                    trailers.insert(REQUEST_ID, id);
                }
                Frame::trailers(trailers)
            }
            Err(other) => other,
        }
    }
}

/// Gives a reply up when it has waited for its reader for too long.
async fn watch(state: Arc<Mutex<State>>, patience: Duration) {
    let mut look = Instant::now() + patience;
    loop {
        tokio::time::sleep_until(look).await;
        let now = Instant::now();
        let mut state = lock(&state);
        if state.rest.is_none() {
            return;
        }
        look = state.waiting.unwrap_or(now) + patience;
        if look <= now {
            let rest = state.rest.take();
            state.given_up = true;
            // What it holds may take its time to go.
            drop(state);
            drop(rest);
            tracing::info!(?patience, "a reply was not read in time and is given up");
            return;
        }
    }
}

fn unread(patience: Duration) -> Status {
    Status::deadline_exceeded(format!("nothing of the reply read for {} ms", patience.as_millis()))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
