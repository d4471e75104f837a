//! Every stream that a client sends, every way of breaking it: what the service answers, and what
//! the SDK does.
//!
//! Commits are in [`crate::budget`]. `SyncTickets`, `FetchKey` and the unary calls take one
//! message, which cannot be out of order; what the SDK does after each of their codes is the table
//! of its `verdict` module.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, SphinxClient};
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::{
    ExchangeKeysRequest, PrepareRequest, exchange_keys_request, prepare_request,
};
use sphinx_proto::{KeyId, Reason};
use sphinx_secret::RootKey;
use sphinx_testbed::relay::{Hand, MessageRelay};
use sphinx_testbed::training::{World, model_id, open};
use sphinx_testbed::{inference, read_key};
use tonic::Code;

use crate::budget::TRAIN;
use crate::ways::{Way, train_part, untouched};

const EXCHANGE: &str = "/sphinx.v1.KeyVault/ExchangeKeys";
const PREPARE: &str = "/sphinx.v1.Inference/Prepare";

/// A message of a stream, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Open,
    Evaluate,
    Input,
    KeyHeader,
    KeyChunk,
    PrepareHeader,
    PrepareInput,
}

impl At {
    fn is(self, message: &Bytes) -> bool {
        match self {
            Self::Open => matches!(train_part(message), Part::Open(_)),
            Self::Evaluate => matches!(train_part(message), Part::Evaluate(_)),
            Self::Input => matches!(train_part(message), Part::Input(_)),
            Self::KeyHeader | Self::KeyChunk => {
                let part = ExchangeKeysRequest::decode(message.clone()).unwrap().part.unwrap();
                let is_header = matches!(part, exchange_keys_request::Part::Header(_));
                is_header == (self == Self::KeyHeader)
            }
            Self::PrepareHeader | Self::PrepareInput => {
                let part = PrepareRequest::decode(message.clone()).unwrap().part.unwrap();
                let is_header = matches!(part, prepare_request::Part::Header(_));
                is_header == (self == Self::PrepareHeader)
            }
        }
    }
}

/// A way that breaks the first stream at a message.
fn once(stream: &'static str, at: At, way: Way) -> impl Fn(&str, usize) -> Hand + Send + Sync {
    move |path: &str, earlier: usize| -> Hand {
        if path == stream && earlier == 0 {
            way.hand(move |message| at.is(message))
        } else {
            untouched()
        }
    }
}

/// Asserts that the first stream ended as expected and that the SDK sent a second one, which was
/// good.
fn assert_sent_again(relay: &MessageRelay, stream: &str, case: &str, broken: bool) {
    let seen = relay.seen(stream);
    let expected = broken.then_some((Code::Aborted, Some(Reason::StreamBroken)));
    assert_eq!(seen[0].status, expected, "{case}");
    assert_eq!(seen.len(), 2, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_after_a_broken_opening_and_a_broken_evaluation() {
    let rows = [
        (At::Open, Way::Cut, true),
        (At::Open, Way::Break, false),
        (At::Open, Way::Garble, true),
        (At::Evaluate, Way::Swap, true),
        (At::Evaluate, Way::Repeat, true),
        (At::Evaluate, Way::Lose, true),
        (At::Evaluate, Way::Garble, true),
        (At::Input, Way::Cut, true),
        (At::Input, Way::Break, false),
        (At::Input, Way::Repeat, true),
        (At::Input, Way::Garble, true),
    ];
    let world = World::with_model().await;
    for (index, (at, way, broken)) in rows.into_iter().enumerate() {
        let case = format!("{at:?} {way:?}");
        let relay = MessageRelay::start(&world.endpoints.trainer, once(TRAIN, at, way)).await;
        let client = crate::budget::through(&world, &relay.url);
        let summary = client.train_model(world.request(open(1.0)), |_| false).await;
        let summary = summary.unwrap_or_else(|error| panic!("{case}: {error}"));
        let version = index as u64 + 1;
        assert_eq!((summary.steps, summary.version), (1, version), "{case}");
        assert_eq!(world.spent(), (version, version), "{case}");
        assert_sent_again(&relay, TRAIN, &case, broken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_registered_after_a_broken_stream() {
    let rows = [
        (At::KeyHeader, Way::Cut, true),
        (At::KeyHeader, Way::Break, false),
        (At::KeyHeader, Way::Swap, true),
        (At::KeyHeader, Way::Repeat, true),
        (At::KeyHeader, Way::Lose, true),
        (At::KeyHeader, Way::Garble, true),
        (At::KeyChunk, Way::Cut, true),
        (At::KeyChunk, Way::Break, false),
        (At::KeyChunk, Way::Repeat, true),
        (At::KeyChunk, Way::Lose, true),
        (At::KeyChunk, Way::Flip, true),
        (At::KeyChunk, Way::Garble, true),
    ];
    let world = World::start().await;
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let identity = RootKey::generate(&mut rng).identity();
    for (index, (at, way, broken)) in rows.into_iter().enumerate() {
        let case = format!("{at:?} {way:?}");
        let relay = MessageRelay::start(&world.endpoints.keyvault, once(EXCHANGE, at, way)).await;
        let endpoints = Endpoints { keyvault: relay.url.clone(), ..world.endpoints.clone() };
        let client = SphinxClient::new(&endpoints).unwrap();
        let key_id = KeyId::parse(format!("key-{index}")).unwrap();
        let receipt = client.register_key(&key_id, &identity, "test").await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(!receipt.already_registered, "{case}: a broken stream registered a key");
        assert_sent_again(&relay, EXCHANGE, &case, broken);
        let seen = relay.seen(EXCHANGE);
        assert!(seen[1].messages.starts_with(&seen[0].messages), "{case}: other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_prepared_after_a_broken_stream() {
    let rows = [
        (At::PrepareHeader, Way::Cut, true),
        (At::PrepareHeader, Way::Break, false),
        (At::PrepareHeader, Way::Swap, true),
        (At::PrepareHeader, Way::Repeat, true),
        (At::PrepareHeader, Way::Lose, true),
        (At::PrepareHeader, Way::Garble, true),
        (At::PrepareInput, Way::Cut, true),
        (At::PrepareInput, Way::Break, false),
        (At::PrepareInput, Way::Repeat, true),
        (At::PrepareInput, Way::Lose, true),
        (At::PrepareInput, Way::Garble, true),
    ];
    let world = World::with_model().await;
    let store = world.dir.path().join("store").to_str().unwrap().to_owned();
    let service = inference(&store, &world.endpoints.keyvault).await;
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let meta = world.store().get(&Default::default(), &model_id()).await.unwrap().meta;
    let read_key = Arc::new(read_key(&world.key, &meta));
    for (at, way, broken) in rows {
        let case = format!("{at:?} {way:?}");
        let relay = MessageRelay::start(&service.url, once(PREPARE, at, way)).await;
        let endpoints = Endpoints { inference: relay.url.clone(), ..world.endpoints.clone() };
        let client = SphinxClient::new(&endpoints).unwrap();
        let recogniser = Recogniser::new(&client, Arc::clone(&read_key)).await.unwrap();
        let prepared = recogniser.prepare(1, &mut rng).await;
        let mut book = prepared.unwrap_or_else(|error| panic!("{case}: {error}"));
        let seen = relay.seen(PREPARE);
        let expected = broken.then_some((Code::Aborted, Some(Reason::StreamBroken)));
        assert_eq!(seen[0].status, expected, "{case}");
        // A stream for each of the two stages, and the one that broke.
        assert_eq!(seen.len(), 3, "{case}");
        let ticket = book.take().unwrap();
        recogniser.infer(ticket, &[0.5; 64]).await.unwrap();
    }
}
