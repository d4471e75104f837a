//! Commits: compare-and-set, idempotence, and updates that are wrong.

use sphinx_proto::Reason;
use sphinx_proto::v1::{
    Commit, Direction, commit_chunk, train_request::Part, train_response::Part as Reply,
};
use tonic::Code;

use crate::common::{assert_broken, assert_moved, assert_refused, start_with_model};
use crate::talk::{Talk, bias_change, chunk, chunks, gradient, opening, sealed, update};

#[tokio::test]
async fn commits_move_the_version_on_and_change_weights_and_biases() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    assert_eq!(talk.opened.last_step, None);
    let mut before = trainer.parameters().await;
    for step in 0..10 {
        let committed = talk.commit(step, step, 1).await.unwrap();
        assert_eq!(
            (committed.step, committed.version, committed.repeated),
            (step, step + 1, false)
        );
        let after = trainer.parameters().await;
        assert_eq!(after.version, step + 1);
        assert_ne!(after, before);
        before = after;
    }
    talk.end().await.unwrap();
    let opened = Talk::open(&trainer, 1).await.opened;
    assert_eq!((opened.model.unwrap().version, opened.last_step), (10, Some(9)));
    // Another session has committed nothing.
    assert_eq!(Talk::open(&trainer, 2).await.opened.last_step, None);
}

#[tokio::test]
async fn a_repeated_commit_changes_nothing() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    // A stream of the same session that was opened before the commit, as a client has that
    // reconnects early.
    let mut early = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    let stored = trainer.parameters().await;

    let again = talk.commit(0, 0, 1).await.unwrap();
    assert_eq!((again.step, again.version, again.repeated), (0, 1, true));
    let mut late = Talk::open(&trainer, 1).await;
    assert_eq!(late.opened.last_step, Some(0));
    for repeating in [&mut late, &mut early] {
        let again = repeating.commit(0, 0, 1).await.unwrap();
        assert_eq!((again.step, again.version, again.repeated), (0, 1, true));
    }
    assert_eq!(trainer.parameters().await, stored);

    // All three go on from the stored version.
    let expected = talk.evaluate(0, Direction::Forward).await.unwrap();
    for going_on in [&mut late, &mut early] {
        let product = going_on.evaluate(0, Direction::Forward).await.unwrap();
        assert!(product.header.version == 1 && product.rows() == expected.rows());
    }
    assert!(!late.commit(1, 1, 2).await.unwrap().repeated);
    assert_eq!(trainer.parameters().await.version, 2);
}

#[tokio::test]
async fn a_repetition_with_other_bytes_does_not_count_either() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut early = Talk::open(&trainer, 1).await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    let stored = trainer.parameters().await;
    assert!(early.commit(0, 0, 2).await.unwrap().repeated);
    assert_eq!(trainer.parameters().await, stored);
    let expected = talk.evaluate(1, Direction::Forward).await.unwrap();
    let product = early.evaluate(1, Direction::Forward).await.unwrap();
    assert!(product.rows() == expected.rows(), "the session left the stored version");
}

#[tokio::test]
async fn of_two_sessions_on_one_version_the_second_is_told_to_reopen() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut first = Talk::open(&trainer, 1).await;
    let mut second = Talk::open(&trainer, 2).await;
    first.commit(0, 0, 1).await.unwrap();
    let stored = trainer.parameters().await;
    let status = second.commit(0, 0, 2).await.unwrap_err();
    assert_moved(&status, "model m is at version 1, not 0: reopen the session");
    assert_eq!(trainer.parameters().await, stored);
    let mut second = Talk::open(&trainer, 2).await;
    assert_eq!(second.opened.last_step, None);
    assert_eq!(second.commit(0, 1, 2).await.unwrap().version, 2);
}

#[tokio::test]
async fn of_two_commits_at_once_one_is_stored() {
    let mut trainer = start_with_model(|_| ()).await;
    for base in 0..5 {
        let mut first = Talk::open(&trainer, 1).await;
        let mut second = Talk::open(&trainer, 2).await;
        let (first, second) =
            tokio::join!(first.commit(base, base, 1), second.commit(base, base, 2));
        let refused: Vec<_> = [&first, &second].iter().filter_map(|r| r.as_ref().err()).collect();
        assert_eq!(refused.len(), 1, "{first:?} {second:?}");
        assert_eq!(Reason::of(refused[0]), Some(Reason::BaseMoved));
        assert_eq!(trainer.parameters().await.version, base + 1);
    }
}

#[tokio::test]
async fn a_new_session_starts_its_optimiser_anew_and_a_reopened_one_goes_on() {
    let mut trainer = start_with_model(|_| ()).await;
    let other = |tag: u8| {
        let mut parts = update(0, 0, tag);
        parts.remove(0);
        parts
    };
    // Adam: the first step of a session moves every weight by the learning rate, whatever the
    // gradient was before.
    let mut moved = Vec::new();
    for (step, session, base) in [(0, 1, 0), (1, 1, 1), (0, 2, 2)] {
        let before = trainer.weights(0).await;
        let mut talk = Talk::open(&trainer, session).await;
        let header = Commit { step, base_version: base, adopt_average: false };
        talk.send(Part::Commit(header)).await;
        for part in other(if base == 0 { 1 } else { 200 }) {
            talk.send(part).await;
        }
        talk.reply().await.unwrap();
        let after = trainer.weights(0).await;
        moved.push(before[0] - after[0]);
    }
    let near = |got: f32| (got - 0.01).abs() < 1e-5;
    assert!(near(moved[0]) && !near(moved[1]) && near(moved[2]), "{moved:?}");
}

/// A session that keeps an average.
fn averaging(session: u8) -> Part {
    let mut open = opening(session);
    if let Some(optimizer) = &mut open.optimizer {
        optimizer.averaging = Some(0.5);
    }
    Part::Open(open)
}

fn adoption(step: u64, base_version: u64, parts: Vec<commit_chunk::Part>) -> Vec<Part> {
    let mut parts = sealed(step, base_version, parts);
    parts[0] = Part::Commit(Commit { step, base_version, adopt_average: true });
    parts
}

#[tokio::test]
async fn averages_are_adopted_once_and_only_where_they_are_kept() {
    let mut trainer = start_with_model(|_| ()).await;
    let first = trainer.weights(1).await;
    let mut talk = Talk::begin(trainer.client.clone(), averaging(1)).await.unwrap();
    talk.commit(0, 0, 1).await.unwrap();
    let second = trainer.weights(1).await;
    // After one update the decay is 1/10.
    let expected: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a + 0.9 * (b - a)).collect();

    let with_gradient = adoption(1, 1, vec![gradient(0, 0, vec![0.5; 18])]);
    let status = talk.refusal(with_gradient).await;
    assert_refused(&status, Code::InvalidArgument, "weight gradient of stage 0 at 0 with 72 bytes");
    let adopt = || adoption(1, 1, vec![bias_change(0, 0, 2, 3), bias_change(1, 0, 3, 3)]);
    let without = Talk::open(&trainer, 2).await.refusal(adopt()).await;
    assert_refused(&without, Code::FailedPrecondition, "keeps no average to adopt");
    assert_eq!(trainer.parameters().await.version, 1);

    for repeated in [false, true, true] {
        let mut talk = Talk::begin(trainer.client.clone(), averaging(1)).await.unwrap();
        for part in adopt() {
            talk.send(part).await;
        }
        let Reply::Committed(committed) = talk.reply().await.unwrap() else { panic!() };
        assert_eq!((committed.step, committed.version, committed.repeated), (1, 2, repeated));
        let got = trainer.weights(1).await;
        let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
        assert_eq!(trainer.parameters().await.version, 2);
    }
    // Another session's average is its own: it starts at the weights, so adopting it at once
    // changes none.
    let before = trainer.weights(1).await;
    let mut other = Talk::begin(trainer.client.clone(), averaging(3)).await.unwrap();
    for part in adoption(0, 2, vec![]) {
        other.send(part).await;
    }
    other.reply().await.unwrap();
    assert_eq!(trainer.weights(1).await, before);
}

#[tokio::test]
async fn rejects_a_commit_on_another_version() {
    let mut trainer = start_with_model(|_| ()).await;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
    let before = trainer.parameters().await;
    for base in [0, 2, u64::MAX] {
        let status = Talk::open(&trainer, 1).await.commit(1, base, 1).await.unwrap_err();
        let words = format!("based on version {base}, the session is at 1: reopen");
        assert_moved(&status, &words);
    }
    assert_eq!(trainer.parameters().await, before);
}

#[tokio::test]
async fn rejects_gradients_that_are_not_finite() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = vec![0.5; 96];
        values[95] = value;
        let mut parts = chunks(1);
        parts.retain(|part| !matches!(part, commit_chunk::Part::Gradient(part) if part.stage == 1));
        parts.push(gradient(1, 0, values));
        let status = Talk::open(&trainer, 1).await.refusal(sealed(0, 0, parts)).await;
        let words = "weight gradient: gradient component 95 is not finite";
        assert_refused(&status, Code::InvalidArgument, words);
        assert_eq!(trainer.parameters().await, before);
    }
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
}

#[tokio::test]
async fn rejects_updates_that_do_not_fit() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    let with = |part: commit_chunk::Part| {
        let mut parts = chunks(1);
        parts.push(part);
        parts
    };
    let without = |index: usize| {
        let mut parts = chunks(1);
        parts.remove(index);
        parts
    };
    let ragged = match gradient(0, 0, vec![0.5; 2]) {
        commit_chunk::Part::Gradient(mut part) => {
            part.values = part.values.slice(..7);
            commit_chunk::Part::Gradient(part)
        }
        other => other,
    };
    let short_bodies = match bias_change(0, 0, 2, 1) {
        commit_chunk::Part::BiasChange(mut part) => {
            part.bodies = part.bodies.slice(1..);
            commit_chunk::Part::BiasChange(part)
        }
        other => other,
    };
    let cases = [
        (with(gradient(2, 0, vec![0.5])), "stage 2 of a network that has 2"),
        (with(gradient(0, 18, vec![0.5])), "weight gradient of stage 0 at 18 with 4 bytes"),
        (vec![ragged], "stage 0 at 0 with 7 bytes"),
        (vec![gradient(0, 0, vec![0.5; 19])], "within 18"),
        (without(1), "weight gradient of stage 0 has 6 of 18 values"),
        (vec![], "weight gradient of stage 0 has 0 of 18 values"),
        (with(bias_change(2, 0, 1, 1)), "stage 2 of a network that has 2"),
        (with(bias_change(0, 2, 1, 1)), "biases 2..3 of a stage that has 2"),
        (vec![short_bodies], "32 bytes of seeds and 24575 bytes of bodies"),
    ];
    for (parts, words) in cases {
        let status = Talk::open(&trainer, 1).await.refusal(sealed(0, 0, parts)).await;
        assert_refused(&status, Code::InvalidArgument, words);
        assert_eq!(trainer.parameters().await, before);
    }
    let broken = [
        (with(gradient(0, 0, vec![0.5])), "gradient of stage 0 comes twice or out of order at 0"),
        (without(3), "gradient of stage 1 comes twice or out of order at 32: expected 0"),
        (with(bias_change(0, 0, 2, 1)), "bias changes of stage 0 come twice or out of order at 0"),
        (vec![bias_change(0, 1, 1, 1)], "out of order at 1"),
    ];
    for (parts, words) in broken {
        let status = Talk::open(&trainer, 1).await.refusal(sealed(0, 0, parts)).await;
        assert_broken(&status, words);
        assert_eq!(trainer.parameters().await, before);
    }
    // Biases that do not change need no ciphertext.
    let mut parts = chunks(1);
    parts.retain(|part| matches!(part, commit_chunk::Part::Gradient(_)));
    let mut talk = Talk::open(&trainer, 1).await;
    for part in sealed(0, 0, parts) {
        talk.send(part).await;
    }
    talk.reply().await.unwrap();
    assert_eq!(trainer.parameters().await.version, 1);
}

#[tokio::test]
async fn rejects_an_altered_commit_and_one_that_is_cut_short() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    for hash in [vec![0; 32], vec![], vec![1; 31]] {
        let mut parts = update(0, 0, 1);
        parts.pop();
        parts.push(chunk(commit_chunk::Part::Sha256(hash.into())));
        let status = Talk::open(&trainer, 1).await.refusal(parts).await;
        assert_broken(&status, "the commit's parts hash to");
    }
    let empty = [Part::Commit(Commit { step: 0, base_version: 0, adopt_average: false }), {
        Part::CommitChunk(sphinx_proto::v1::CommitChunk { part: None })
    }];
    let status = Talk::open(&trainer, 1).await.refusal(empty).await;
    assert_refused(&status, Code::InvalidArgument, "part is missing: expected gradient");

    let mut parts = update(0, 0, 1);
    while parts.len() > 1 {
        parts.pop();
        let status = Talk::open(&trainer, 1).await.refusal(parts.clone()).await;
        assert_broken(&status, "the stream ended in the middle of a commit");
    }
    assert_eq!(trainer.parameters().await, before);
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
}
