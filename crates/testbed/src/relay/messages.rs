//! A relay of gRPC requests that sees, and may change, every message that a client sends; replies
//! pass as they are. HTTP/2 and the framing of messages stay valid whatever is done to them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use sphinx_proto::Reason;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use crate::listen;

/// Bytes of a gRPC message's head: a flag and the length.
const HEAD: usize = 5;
/// Windows as large as those of the services, so that the relay is no bottleneck.
const WINDOW: u32 = 8 << 20;

/// What becomes of a message.
#[derive(Debug)]
pub enum Fate {
    /// These are sent in its place: itself, an altered one, none, or several.
    Send(Vec<Bytes>),
    /// The request's stream ends here, in good order.
    End,
    /// The request's stream breaks here.
    Break,
}

/// Decides over the messages of one request, in order.
pub type Hand = Box<dyn FnMut(Bytes) -> Fate + Send>;

/// Makes the hand for a request by its path, `/sphinx.v1.Trainer/Train`, and the number of requests
/// with that path before it.
type Hands = Arc<dyn Fn(&str, usize) -> Hand + Send + Sync>;

/// A request that came by.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its messages as the client sent them.
    pub messages: Vec<Bytes>,
    /// What the service ended it with: code and reason. `None` while it goes on, and for a
    /// connection that broke.
    pub status: Option<(Code, Option<Reason>)>,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A running relay; it ends with the runtime.
#[derive(Debug)]
pub struct MessageRelay {
    /// Where clients connect to.
    pub url: String,
    log: Log,
}

impl MessageRelay {
    /// Starts a relay before the service at `upstream`; every request passes through a hand made by
    /// `hands`.
    pub async fn start(
        upstream: &str,
        hands: impl Fn(&str, usize) -> Hand + Send + Sync + 'static,
    ) -> Self {
        let (listener, url) = listen().await;
        let upstream = Endpoint::from_shared(upstream.to_owned())
            .unwrap()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect_lazy();
        let log = Log::default();
        let forward = Forward { upstream, hands: Arc::new(hands), log: Arc::clone(&log) };
        let server = Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_with_incoming(forward, TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self { url, log }
    }

    /// The requests of a path so far, oldest first.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|seen| seen.path == path).cloned().collect()
    }
}

/// Passes a message on.
pub fn pass(message: Bytes) -> Fate {
    Fate::Send(vec![message])
}

#[derive(Clone)]
struct Forward {
    upstream: Channel,
    hands: Hands,
    log: Log,
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let entry = Entry::new(&self.log, request.uri().path());
        let hand = (self.hands)(request.uri().path(), entry.earlier);
        let (head, body) = request.into_parts();
        let (frames, forwarded) = mpsc::channel(4);
        tokio::spawn(pump(body, hand, frames, entry.clone()));
        let body = Body::new(StreamBody::new(ReceiverStream::new(forwarded)));
        let reply = self.upstream.clone().oneshot(Request::from_parts(head, body));
        Box::pin(async move {
            let reply = reply.await.unwrap_or_else(|error| broken_reply(&error));
            // A refusal before the first reply has its status in the head.
            entry.ended(reply.headers());
            Ok(reply.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    frame.trailers_ref().inspect(|trailers| entry.ended(trailers));
                    frame
                }))
            }))
        })
    }
}

/// A reply that breaks off at once: no service has spoken, and neither does the relay.
fn broken_reply(error: &tonic::transport::Error) -> Response<Body> {
    let broken = Err::<Frame<Bytes>, _>(Status::cancelled(format!("behind the relay: {error}")));
    Response::new(Body::new(StreamBody::new(tokio_stream::once(broken))))
}

/// A request's place in the log.
#[derive(Clone)]
struct Entry {
    log: Log,
    index: usize,
    /// Requests of the same path before it.
    earlier: usize,
}

impl Entry {
    fn new(log: &Log, path: &str) -> Self {
        let mut seen = log.lock().unwrap();
        let earlier = seen.iter().filter(|seen| seen.path == path).count();
        seen.push(Seen { path: path.to_owned(), ..Seen::default() });
        Self { log: Arc::clone(log), index: seen.len() - 1, earlier }
    }

    fn received(&self, message: &Bytes) {
        self.log.lock().unwrap()[self.index].messages.push(message.clone());
    }

    fn ended(&self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            let ended = Some((status.code(), Reason::of(&status)));
            self.log.lock().unwrap()[self.index].status = ended;
        }
    }
}

type Frames = mpsc::Sender<Result<Frame<Bytes>, Status>>;

/// Reads messages, asks the hand, and sends what it says.
async fn pump(mut body: Body, mut hand: Hand, frames: Frames, entry: Entry) {
    let mut open = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            // The client broke off, and so does the relay.
            let _ = frames.send(Err(Status::cancelled("the client went away"))).await;
            return;
        };
        let Ok(data) = frame.into_data() else { continue };
        open.extend_from_slice(&data);
        while let Some(message) = next_message(&mut open) {
            entry.received(&message);
            match hand(message) {
                Fate::Send(messages) => {
                    for message in messages {
                        if frames.send(Ok(Frame::data(framed(&message)))).await.is_err() {
                            return;
                        }
                    }
                }
                Fate::End => return,
                Fate::Break => {
                    let _ = frames.send(Err(Status::cancelled("broken on the way"))).await;
                    return;
                }
            }
        }
    }
}

/// Takes the first message off the bytes, if it is there as a whole.
fn next_message(open: &mut BytesMut) -> Option<Bytes> {
    let mut head = open.get(..HEAD)?;
    let compressed = head.get_u8();
    assert_eq!(compressed, 0, "nothing here compresses");
    let length = head.get_u32() as usize;
    if open.len() < HEAD + length {
        return None;
    }
    open.advance(HEAD);
    Some(open.split_to(length).freeze())
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}
