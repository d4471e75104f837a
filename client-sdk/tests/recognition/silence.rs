//! Connections that swallow what is sent and say nothing, as after a change of network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sphinx_client::{ChannelError, ClientError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::refusals::fresh_recogniser;
use sphinx_testbed::listen;

use crate::world::World;

const DEADLINE: Duration = Duration::from_millis(500);

/// Forwards connections until they fall silent; none of them is closed.
#[derive(Default)]
struct Relay {
    /// The next connection over which the service says something falls silent after that.
    one: AtomicBool,
    /// All are silent.
    all: AtomicBool,
}

impl Relay {
    async fn start(service: &str) -> (Arc<Self>, String) {
        let (listener, address) = listen().await;
        let (relay, service) = (Arc::new(Self::default()), service.replace("http://", ""));
        let shared = Arc::clone(&relay);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&service).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let silent = Arc::new(AtomicBool::new(false));
                tokio::spawn(forward(from_client, to_server, Arc::clone(&silent), None));
                let relay = Some(Arc::clone(&shared));
                tokio::spawn(forward(from_server, to_client, silent, relay));
            }
        });
        (relay, address)
    }
}

/// One direction of a connection; `relay` is with that of the service's words.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    silent: Arc<AtomicBool>,
    relay: Option<Arc<Relay>>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if relay.as_ref().is_some_and(|relay| relay.all.load(Ordering::SeqCst)) {
            silent.store(true, Ordering::SeqCst);
        }
        if silent.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
        if relay.as_ref().is_some_and(|relay| relay.one.swap(false, Ordering::SeqCst)) {
            silent.store(true, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_go_on_when_their_connection_falls_silent_between_two_rounds() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let (relay, address) = Relay::start(&world.endpoints.inference).await;
    let recogniser = fresh_recogniser(&world, &model, address).await;
    let recogniser = recogniser.with_round_deadline(DEADLINE);
    let mut tickets = recogniser.prepare(2, &mut world.rng).await.unwrap();
    let image = [0.5; 784];
    let expected = model.clear.classify(&image).unwrap();

    relay.one.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let answer = recogniser.infer(tickets.take().unwrap(), &image).await.unwrap();
    assert_eq!(answer.logits, expected);
    let took = begun.elapsed();
    assert!((DEADLINE..20 * DEADLINE).contains(&took), "{took:?}");

    // Nobody answers on any connection: known after all tries, and said as what it is.
    relay.all.store(true, Ordering::SeqCst);
    let error = recogniser.infer(tickets.take().unwrap(), &image).await.unwrap_err();
    assert!(error.is_transient());
    match error {
        ClientError::Channel(ChannelError::Unreachable { tries: 6, cause, .. }) => {
            assert!(cause.starts_with("no answer within 5"), "{cause}");
        }
        other => panic!("{other}"),
    }
}
