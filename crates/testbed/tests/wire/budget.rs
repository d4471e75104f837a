//! Commits that do not arrive as they were sent: the update is sent again byte for byte, and costs
//! no more.

use std::collections::BTreeSet;

use bytes::Bytes;
use sphinx_client::{
    ChannelError, ClientError, EncryptedSession, Evaluator, SphinxClient, TrainingError, Update,
};
use sphinx_models::ModelStore;
use sphinx_network::Plan;
use sphinx_privacy::ledger::Ledger;
use sphinx_proto::{Reason, SessionId};
use sphinx_testbed::relay::{Hand, MessageRelay, Seen};
use sphinx_testbed::training::{World, delta, model_id, private, rule, small};
use tonic::Code;

use crate::ways::{Way, is_gradient, is_of_commit, untouched};

pub const TRAIN: &str = "/sphinx.v1.Trainer/Train";
/// Steps of every training here.
const STEPS: u64 = 3;

/// What a training cost and left.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    steps: u64,
    version: u64,
    /// Records of the ledger and its version.
    ledger: (u64, u64),
    pending: bool,
    epsilon: f64,
}

impl Outcome {
    pub async fn of(world: &World, steps: u64) -> Self {
        let version = world.version().await;
        let ledger = Ledger::open_model(&world.ledger(), "m").unwrap();
        let pending = ledger.pending().is_some();
        let epsilon = ledger.spent(delta()).unwrap().proven();
        drop(ledger);
        Self { steps, version, ledger: world.spent(), pending, epsilon }
    }
}

/// A client of the world's services whose trainer is at `url`.
pub fn through(world: &World, url: &str) -> SphinxClient {
    let endpoints = sphinx_client::Endpoints { trainer: url.to_owned(), ..world.endpoints.clone() };
    SphinxClient::new(&endpoints).unwrap()
}

/// Trains for some steps and says what that cost.
pub async fn trained(world: &World, client: &SphinxClient) -> Outcome {
    let request = world.request(private(120.0));
    let summary = client.train_model(request, |progress| progress.step < STEPS).await.unwrap();
    Outcome::of(world, summary.steps).await
}

/// What an undisturbed training costs.
pub async fn undisturbed() -> Outcome {
    let world = World::with_model().await;
    let outcome = trained(&world, &world.client).await;
    assert_eq!((outcome.steps, outcome.version, outcome.ledger), (STEPS, STEPS, (STEPS, STEPS)));
    assert!(!outcome.pending && outcome.epsilon > 0.0);
    outcome
}

/// The commits that came by, as they were sent, whole ones and beginnings.
fn commits(seen: &[Seen]) -> Vec<Vec<Bytes>> {
    let mut commits: Vec<Vec<Bytes>> = Vec::new();
    for stream in seen {
        let mut of_stream: Vec<Vec<Bytes>> = Vec::new();
        for message in stream.messages.iter().filter(|message| is_of_commit(message)) {
            if matches!(
                crate::ways::train_part(message),
                sphinx_proto::v1::train_request::Part::Commit(_)
            ) {
                of_stream.push(Vec::new());
            }
            of_stream.last_mut().unwrap().push(message.clone());
        }
        commits.extend(of_stream);
    }
    commits
}

/// Sessions and steps of the stored versions: none may be stored twice.
async fn assert_committed_once(world: &World) {
    let store: ModelStore = world.store();
    let meta = store.get(&Default::default(), &model_id()).await.unwrap().meta;
    let mut ids = BTreeSet::new();
    for version in 1..=world.version().await {
        let commit = store.load(&meta, Some(version)).await.unwrap().commit.unwrap();
        assert!(ids.insert((commit.session.0, commit.step)), "version {version} repeats a step");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_broken_on_its_way_is_sent_again_byte_for_byte_and_costs_nothing_more() {
    let expected = undisturbed().await;
    let broken = Some((Code::Aborted, Some(Reason::StreamBroken)));
    let rows = [
        (Way::Cut, broken),
        (Way::Swap, broken),
        (Way::Repeat, broken),
        (Way::Lose, broken),
        (Way::Flip, broken),
        (Way::Garble, broken),
        // The connection's own end, without a word of the service.
        (Way::Break, None),
        // What it had become is refused; sent again, it is not.
        (Way::Restage, Some((Code::InvalidArgument, None))),
    ];
    for (way, status) in rows {
        let world = World::with_model().await;
        let hands = move |path: &str, earlier: usize| -> Hand {
            if path == TRAIN && earlier == 0 { way.hand(is_gradient(0)) } else { untouched() }
        };
        let relay = MessageRelay::start(&world.endpoints.trainer, hands).await;
        let outcome = trained(&world, &through(&world, &relay.url)).await;
        assert_eq!(outcome, expected, "{way:?}");
        assert_committed_once(&world).await;
        let seen = relay.seen(TRAIN);
        assert_eq!(seen.len(), 2, "{way:?}");
        assert_eq!(seen[0].status, status, "{way:?}");
        let commits = commits(&seen);
        assert_eq!(commits.len() as u64, STEPS + 1, "{way:?}");
        // The broken one as far as it was sent, then the same as a whole.
        assert!(commits[1].starts_with(&commits[0]), "{way:?}: other bytes were sent");
        assert!(commits[0].len() >= 2 && commits[2] != commits[1], "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_always_damaged_stays_pending_and_a_clear_way_settles_it() {
    let world = World::with_model().await;
    let hands = |path: &str, _: usize| -> Hand {
        if path == TRAIN { Way::Flip.hand(is_gradient(0)) } else { untouched() }
    };
    let relay = MessageRelay::start(&world.endpoints.trainer, hands).await;
    let client = through(&world, &relay.url);
    for training in 1..=2 {
        let trained = client.train_model(world.request(private(120.0)), |_| false).await;
        let error = trained.unwrap_err();
        let ClientError::Channel(ChannelError::Refused { code, reason, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!((*code, *reason), (Code::Aborted, Some(Reason::StreamBroken)), "{error}");
        // Recorded once, and neither given up nor made anew.
        let outcome = Outcome::of(&world, 0).await;
        assert_eq!((outcome.version, outcome.ledger.0, outcome.pending), (0, 1, true));
        let commits = commits(&relay.seen(TRAIN));
        assert_eq!(commits.len(), 5 * training, "five tries each");
        assert!(commits.iter().all(|commit| *commit == commits[0]), "other bytes were sent");
    }
    let request = world.request(private(120.0));
    let summary = world.client.train_model(request, |_| false).await.unwrap();
    assert_eq!((summary.steps, summary.version, world.spent()), (1, 2, (2, 2)));
    assert_committed_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_on_a_base_that_moved_is_not_forced_and_stays_pending() {
    let world = World::with_model().await;
    let relay = MessageRelay::start(&world.endpoints.trainer, |_, _| untouched()).await;
    let client = through(&world, &relay.url);
    let (other, options) = (world.client.clone(), world.session(SessionId([2; 16]), rule()));
    let runtime = tokio::runtime::Handle::current();
    let trained = client.train_model(world.request(private(120.0)), move |progress| {
        if progress.step == 1 {
            let opening = EncryptedSession::open(&other, options.clone());
            let mut other = runtime.block_on(opening).unwrap();
            let sealed = other.seal(0, &zeros(), false).unwrap();
            other.commit(0, &sealed, &zeros()).unwrap();
        }
        true
    });
    let error = Box::pin(trained).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Training(TrainingError::PendingLost { server: 2, base: 1 })),
        "{error}"
    );
    let seen = relay.seen(TRAIN);
    assert_eq!(seen[0].status, Some((Code::Aborted, Some(Reason::BaseMoved))));
    // The other's commit and this one; what was opened since only looked where the model is.
    assert_eq!(commits(&seen).len(), 2, "it was sent again");
    let outcome = Outcome::of(&world, 1).await;
    assert_eq!((outcome.version, outcome.ledger.0, outcome.pending), (2, 2, true));
}

fn zeros() -> Update {
    let plan = Plan::new(&small()).unwrap();
    Update {
        gradient: plan.stages.iter().map(|s| vec![0.0; s.linear.weight_count()]).collect(),
        bias_gradient: plan.stages.iter().map(|s| vec![0.0; s.linear.bias_count()]).collect(),
        adopts_average: false,
    }
}
