//! Updates that were recorded and not confirmed, in each state a crash can leave them in.

use prost::Message;
use sphinx_client::{
    ClientError, EncryptedSession, Evaluator, Sealed, TrainingError, TrainingOptions, Update,
};
use sphinx_models::ModelVersion;
use sphinx_network::Plan;
use sphinx_optimizer::Optimizer;
use sphinx_privacy::ledger::{
    Binding, Charge, Entry, Ledger, LedgerError, PendingUpdate, PrivacyUnit,
};
use sphinx_proto::SessionId;
use sphinx_proto::v1::{TrainRequest, commit_chunk::Part, train_request::Part as Request};

use crate::world::{
    DESCENT, EXAMPLES, RATE, World, blocking, delta, key_id, model_id, open, private, rule, small,
};

const SESSION: SessionId = SessionId([9; 16]);

/// Opens a session, records an update in the ledger as the crashed run did, and returns both.
async fn recorded(world: &World) -> (EncryptedSession, PendingUpdate) {
    recorded_of(world, &update()).await
}

async fn recorded_of(world: &World, update: &Update) -> (EncryptedSession, PendingUpdate) {
    let options = world.session(SESSION, rule());
    let mut session = EncryptedSession::open(&world.client, options).await.unwrap();
    let sealed = session.seal(0, update, false).unwrap();
    let mut ledger = Ledger::open(&world.ledger(), &binding()).unwrap();
    let entry = entry(0, session.version(), Charge::Unproven);
    ledger.reserve(&entry, None, sealed.bytes()).unwrap();
    (session, PendingUpdate { entry, bytes: sealed.bytes().to_vec() })
}

/// What the ledger of the world's model is for.
pub fn binding() -> Binding {
    Binding {
        model: "m".to_owned(),
        examples: EXAMPLES as u64,
        delta: delta(),
        unit: PrivacyUnit::Example,
    }
}

/// The entry of a step of the session `[9; 16]`, made on `version`.
pub fn entry(step: u64, version: u64, charge: Charge) -> Entry {
    Entry { session: format!("{SESSION}/{step}"), step: version, charge, chain: None }
}

fn update() -> Update {
    let plan = Plan::new(&small()).unwrap();
    let filled = |count: usize, value: f32| vec![value; count];
    Update {
        gradient: plan.stages.iter().map(|s| filled(s.linear.weight_count(), 0.125)).collect(),
        bias_gradient: plan.stages.iter().map(|s| filled(s.linear.bias_count(), 0.5)).collect(),
        adopts_average: false,
    }
}

/// The version after the pending update's is that update's commit, made of exactly its bytes.
pub async fn assert_committed(world: &World, pending: &PendingUpdate) {
    let store = world.store();
    let meta = store.get(&Default::default(), &model_id()).await.unwrap().meta;
    let base = store.load(&meta, Some(pending.entry.step)).await.unwrap();
    let next = store.load(&meta, Some(pending.entry.step + 1)).await.unwrap();
    let commit = next.commit.unwrap();
    assert_eq!(format!("{}/{}", commit.session, commit.step), pending.entry.session);
    let (weights, state) = applied(&base, &pending.bytes);
    assert!(weights == next.weights, "the weights are not those of the recorded bytes");
    assert!(state == next.sealed, "the sealed state is not that of the recorded bytes");
}

/// The weights that sealed bytes make of a version, and the state that they bring.
fn applied(base: &ModelVersion, sealed: &[u8]) -> (Vec<Vec<f32>>, bytes::Bytes) {
    let mut gradient = vec![Vec::new(); base.weights.len()];
    let (mut state, mut rest) = (bytes::Bytes::new(), sealed);
    while !rest.is_empty() {
        let message = TrainRequest::decode_length_delimited(&mut rest).unwrap();
        let Request::CommitChunk(chunk) = message.part.unwrap() else { continue };
        match chunk.part.unwrap() {
            Part::Gradient(part) => gradient[part.stage as usize]
                .extend(part.values.as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v))),
            Part::Sealed(part) => state = part,
            Part::Sha256(_) => {}
        }
    }
    let mut weights = base.weights.clone();
    for (weights, gradient) in weights.iter_mut().zip(&gradient) {
        let mut optimizer = Optimizer::new(DESCENT, weights.len()).unwrap();
        optimizer.apply(weights, gradient, &DESCENT.rates(RATE, 1)).unwrap();
    }
    (weights, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_never_arrived_is_sent_byte_by_byte() {
    let world = World::with_model().await;
    let (session, pending) = recorded(&world).await;
    drop(session);
    let summary = world.client.train_model(world.request(open(1.0)), |_| false).await.unwrap();
    assert_eq!((summary.steps, summary.version, world.version().await), (1, 2, 2));
    assert_committed(&world, &pending).await;
    assert_eq!(world.spent(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_had_arrived_is_not_committed_again() {
    let world = World::with_model().await;
    let (mut session, pending) = recorded(&world).await;
    let sealed = Sealed::read(pending.bytes.clone()).unwrap();
    blocking(move || session.commit_sealed(0, &sealed).unwrap()).await;
    assert_committed(&world, &pending).await;
    let summary = world.client.train_model(world.request(open(1.0)), |_| false).await.unwrap();
    assert_eq!((summary.steps, summary.version, world.version().await), (1, 2, 2));
    assert_committed(&world, &pending).await;
    assert_eq!(world.spent(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_to_go_on_when_somebody_else_trained_meanwhile() {
    let world = World::with_model().await;
    let (session, _) = recorded(&world).await;
    drop(session);
    let other = world.session(SessionId([2; 16]), rule());
    let mut other = EncryptedSession::open(&world.client, other).await.unwrap();
    blocking(move || {
        let sealed = other.seal(0, &update(), false).unwrap();
        other.commit(0, &sealed, &update()).unwrap();
    })
    .await;
    let trained = world.client.train_model(world.request(open(1.0)), |_| true).await;
    let error = trained.unwrap_err();
    assert!(
        matches!(error, ClientError::Training(TrainingError::PendingLost { server: 1, base: 0 })),
        "{error}"
    );
    assert_eq!(world.version().await, 1);
    assert_eq!(world.spent(), (1, 1));
}

/// Every step is made at home first: what diverges there is neither recorded nor sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_diverges_spends_nothing_and_the_model_can_be_trained_on() {
    let world = World::with_model().await;
    for learning_rate in [1e30, f32::MAX] {
        let absurd = TrainingOptions { learning_rate, ..private(4.0) };
        let error = world.client.train_model(world.request(absurd), |_| true).await.unwrap_err();
        let home = matches!(
            error,
            ClientError::Training(TrainingError::Optimizer(_) | TrainingError::Integers(_))
        );
        assert!(home, "{error}");
        assert_eq!((world.version().await, world.spent()), (0, (0, 0)));
    }
    let next = world.client.train_model(world.request(private(4.0)), |_| false).await.unwrap();
    assert_eq!((next.steps, next.version, world.spent()), (1, 1, (1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_made_for_a_version_that_is_gone_is_given_up() {
    let world = World::with_model().await;
    world.client.train_model(world.request(open(1.0)), |_| false).await.unwrap();
    let (session, _) = recorded(&world).await;
    drop(session);
    // The service goes back to what it had at first.
    world.client.delete_model(&model_id()).await.unwrap();
    world.client.create_model(&model_id(), &key_id(), &small(), 5).await.unwrap();
    let error = world.client.train_model(world.request(open(1.0)), |_| true).await.unwrap_err();
    // It has another incarnation: not an older copy of the model, but another one.
    let other =
        ClientError::Training(TrainingError::Ledger(LedgerError::OtherModel { version: 0 }));
    assert_eq!(error.to_string(), other.to_string());
    assert_eq!(world.spent(), (2, 2));
}
