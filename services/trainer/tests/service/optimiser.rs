//! What the update rule remembers: moments over sessions, averages within one.

use sphinx_proto::v1::{
    Commit, OpenSession, Optimizer, Sgd, commit_chunk::Part as Chunk, optimizer::Rule,
    train_request::Part,
};
use tonic::Code;

use crate::common::{Trainer, assert_refused, start_with_model};
use crate::talk::{Talk, opening};
use crate::updates::{chunks, gradients, with_hash};

fn changed(session: u8, change: impl FnOnce(&mut Optimizer)) -> OpenSession {
    let mut open = opening(session);
    change(open.optimizer.as_mut().unwrap());
    open
}

/// A session that keeps an average.
fn averaging(session: u8) -> OpenSession {
    changed(session, |optimizer| optimizer.averaging = Some(0.5))
}

fn descending(session: u8, momentum: f32) -> OpenSession {
    let sgd = Sgd { momentum, nesterov: false };
    changed(session, |optimizer| optimizer.rule = Some(Rule::Sgd(sgd)))
}

async fn begin(trainer: &Trainer, open: OpenSession) -> Talk {
    Talk::begin(trainer.client.clone(), Part::Open(open)).await.unwrap()
}

/// The same gradients in one session, and each in one of its own.
#[tokio::test]
async fn a_new_session_takes_over_the_moments_of_the_same_optimiser() {
    for open in [opening, |session| descending(session, 0.9)] {
        let (mut one, mut other) = (start_with_model(|_| ()).await, start_with_model(|_| ()).await);
        let mut whole = begin(&one, open(1)).await;
        for (version, tag) in [(0, 1), (1, 200), (2, 3)] {
            whole.commit(version, version, tag).await.unwrap();
            let mut talk = begin(&other, open(1 + version as u8)).await;
            assert_eq!(talk.opened.last_step, None);
            assert_eq!(talk.opened.state.as_ref().unwrap().optimizer_steps, version);
            talk.commit(0, version, tag).await.unwrap();
            assert_eq!(other.weights(0).await, one.weights(0).await);
            assert_eq!(other.weights(1).await, one.weights(1).await);
            let (ours, theirs) = (one.state().await, other.state().await);
            assert_eq!(ours.optimizer_sha256, theirs.optimizer_sha256);
            assert_eq!(ours.optimizer_steps, version + 1);
        }
    }
}

/// Plain descent: what a step does is one line. The velocity before it belonged to another rule.
#[tokio::test]
async fn another_optimiser_begins_anew() {
    let mut trainer = start_with_model(|_| ()).await;
    begin(&trainer, opening(1)).await.commit(0, 0, 200).await.unwrap();
    for (version, momentum) in [(1, 0.5), (2, 0.9), (3, 0.0), (4, 0.5)] {
        let before = trainer.weights(1).await;
        let mut talk = begin(&trainer, descending(1 + version as u8, momentum)).await;
        assert!(!talk.commit(0, version, 1).await.unwrap().repeated);
        let gradient = &gradients(1)[1];
        let stepped = before.iter().zip(gradient).map(|(weight, g)| weight - 0.01 * g);
        assert_eq!(trainer.weights(1).await, stepped.collect::<Vec<_>>());
        assert_eq!(trainer.state().await.optimizer_steps, 1);
    }
}

#[tokio::test]
async fn averages_are_adopted_once_and_only_where_they_are_kept() {
    let mut trainer = start_with_model(|_| ()).await;
    let first = trainer.weights(1).await;
    let mut talk = begin(&trainer, averaging(1)).await;
    talk.commit(0, 0, 1).await.unwrap();
    let second = trainer.weights(1).await;
    // After one update the decay is 1/10.
    let expected: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a + 0.9 * (b - a)).collect();
    let moments = trainer.state().await;
    assert_eq!((moments.optimizer_steps, moments.averaged_steps), (1, 1));

    let (parts, next) = talk.adoption(1, 1);
    let Part::Commit(header) = &parts[0] else { panic!("{:?}", parts[0]) };
    let with_gradient = with_hash(header.clone(), chunks(&gradients(1), vec![1].into()));
    let status = begin(&trainer, averaging(1)).await.refusal(with_gradient).await;
    assert_refused(&status, Code::InvalidArgument, "weight gradient of stage 0 at 0 with 24 bytes");
    let without = Talk::open(&trainer, 2).await.refusal(parts.clone()).await;
    assert_refused(&without, Code::FailedPrecondition, "keeps no average to adopt");
    let elsewhere = Commit { chain: vec![1; 32].into(), ..header.clone() };
    let elsewhere = with_hash(elsewhere, vec![Chunk::Sealed(vec![1].into())]);
    let status = begin(&trainer, averaging(1)).await.refusal(elsewhere).await;
    assert_refused(&status, Code::FailedPrecondition, "another chain");
    assert_eq!(trainer.parameters().await.version, 1);

    for repeated in [false, true, true] {
        let mut talk = begin(&trainer, averaging(1)).await;
        let committed = talk.send_update((parts.clone(), next.clone())).await.unwrap();
        assert_eq!((committed.step, committed.version, committed.repeated), (1, 2, repeated));
        assert_eq!(committed.chain, next.chain[..]);
        let got = trainer.weights(1).await;
        let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
        assert_eq!(trainer.parameters().await.version, 2);
    }
    // The optimiser has made no step, and the average has taken in none.
    let adopted = trainer.state().await;
    assert_eq!((adopted.optimizer_steps, adopted.averaged_steps), (1, 1));
    assert_eq!(adopted.optimizer_sha256, moments.optimizer_sha256);
    // Another session's average is its own: it starts at the weights, so adopting it at once
    // changes none.
    let before = trainer.weights(1).await;
    let mut other = begin(&trainer, averaging(3)).await;
    let adoption = other.adoption(0, 2);
    other.send_update(adoption).await.unwrap();
    assert_eq!(trainer.weights(1).await, before);
    assert_eq!(trainer.state().await.averaged_steps, 0);
}

/// A session that reopens has the average that it had.
#[tokio::test]
async fn averages_go_on_within_their_session() {
    let (mut one, mut other) = (start_with_model(|_| ()).await, start_with_model(|_| ()).await);
    let mut whole = begin(&one, averaging(1)).await;
    for version in 0..4 {
        whole.commit(version, version, version as u8).await.unwrap();
        begin(&other, averaging(1)).await.commit(version, version, version as u8).await.unwrap();
        let (ours, theirs) = (one.state().await, other.state().await);
        assert_eq!(ours.optimizer_sha256, theirs.optimizer_sha256);
        assert_eq!(theirs.averaged_steps, version + 1);
    }
    for trainer in [&mut one, &mut other] {
        let mut talk = begin(trainer, averaging(1)).await;
        let adoption = talk.adoption(4, 4);
        talk.send_update(adoption).await.unwrap();
    }
    assert_eq!(one.weights(0).await, other.weights(0).await);
    assert_eq!(one.state().await.weights_sha256, other.state().await.weights_sha256);
}
