//! Commits: compare-and-set, idempotence, and updates that are wrong.

use sphinx_proto::Reason;
use sphinx_proto::v1::{CommitChunk, Direction, commit_chunk::Part as Chunk, train_request::Part};
use tonic::Code;

use crate::common::{assert_broken, assert_moved, assert_refused, start_with_model};
use crate::mirror::sealed_state;
use crate::talk::{Talk, opening, unchained};
use crate::updates::{chunk, chunks, gradient, gradients, with_hash};

#[tokio::test]
async fn commits_move_the_version_on_and_change_weights_and_state() {
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
    // The very bytes that are sent again after a break.
    let update = talk.update(0, 0, 1);
    let chain = talk.send_update(update.clone()).await.unwrap().chain;
    let stored = trainer.parameters().await;

    let again = talk.send_update(update.clone()).await.unwrap();
    assert_eq!((again.step, again.version, again.repeated), (0, 1, true));
    assert_eq!(again.chain, chain);
    let mut late = Talk::open(&trainer, 1).await;
    assert_eq!(late.opened.last_step, Some(0));
    for repeating in [&mut late, &mut early] {
        let again = repeating.send_update(update.clone()).await.unwrap();
        assert_eq!((again.step, again.version, again.repeated), (0, 1, true));
        assert_eq!(again.chain, chain);
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
    let chain = talk.commit(0, 0, 1).await.unwrap().chain;
    let stored = trainer.parameters().await;
    let again = early.commit(0, 0, 2).await.unwrap();
    assert_eq!((again.repeated, again.chain), (true, chain));
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
        let mut gradients = gradients(1);
        gradients[1][95] = value;
        let talk = Talk::open(&trainer, 1).await;
        let (parts, _) = talk.update_of(0, 0, &gradients, 1);
        let status = talk.refusal(parts).await;
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
    let sealed = || sealed_state(&opening(1), 1);
    let whole = || chunks(&gradients(1), sealed());
    let with = |part: Chunk| [whole(), vec![part]].concat();
    let without = |index: usize| {
        let mut parts = whole();
        parts.remove(index);
        parts
    };
    let ragged = match gradient(0, 0, &[0.5; 2]) {
        Chunk::Gradient(mut part) => {
            part.values = part.values.slice(..7);
            Chunk::Gradient(part)
        }
        other => other,
    };
    let huge = Chunk::Sealed(vec![1; (3 << 20) + 1].into());
    let cases = [
        (with(gradient(2, 0, &[0.5])), "stage 2 of a network that has 2"),
        (with(gradient(0, 18, &[0.5])), "weight gradient of stage 0 at 18 with 4 bytes"),
        (vec![ragged], "stage 0 at 0 with 7 bytes"),
        (vec![gradient(0, 0, &[0.5; 19])], "within 18"),
        (without(1), "weight gradient of stage 0 has 6 of 18 values"),
        (vec![], "weight gradient of stage 0 has 0 of 18 values"),
        (without(4), "the commit ends without a sealed state"),
        (vec![huge], "a sealed state of 3145729 bytes, expected at most 3145728"),
    ];
    let header = || match unchained(0, 0, 1).swap_remove(0) {
        Part::Commit(header) => header,
        other => panic!("{other:?} at the head of a commit"),
    };
    for (parts, words) in cases {
        let status = Talk::open(&trainer, 1).await.refusal(with_hash(header(), parts)).await;
        assert_refused(&status, Code::InvalidArgument, words);
        assert_eq!(trainer.parameters().await, before);
    }
    let broken = [
        (with(gradient(0, 0, &[0.5])), "gradient of stage 0 comes twice or out of order at 0"),
        (without(2), "gradient of stage 1 comes twice or out of order at 32: expected 0"),
        (with(Chunk::Sealed(sealed())), "the sealed state comes twice"),
    ];
    for (parts, words) in broken {
        let status = Talk::open(&trainer, 1).await.refusal(with_hash(header(), parts)).await;
        assert_broken(&status, words);
        assert_eq!(trainer.parameters().await, before);
    }
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
}

#[tokio::test]
async fn rejects_an_altered_commit_and_one_that_is_cut_short() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    for hash in [vec![0; 32], vec![], vec![1; 31]] {
        let talk = Talk::open(&trainer, 1).await;
        let (mut parts, _) = talk.update(0, 0, 1);
        parts.pop();
        parts.push(chunk(Chunk::Sha256(hash.into())));
        assert_broken(&talk.refusal(parts).await, "the commit's parts hash to");
    }
    // A header that was altered on its way.
    let talk = Talk::open(&trainer, 1).await;
    let (mut parts, _) = talk.update(0, 0, 1);
    if let Part::Commit(header) = &mut parts[0] {
        header.rates.as_mut().unwrap().learning_rate *= 2.0;
    }
    assert_broken(&talk.refusal(parts).await, "the commit's parts hash to");

    let header = unchained(0, 0, 1).swap_remove(0);
    let empty = [header, Part::CommitChunk(CommitChunk { part: None })];
    let status = Talk::open(&trainer, 1).await.refusal(empty).await;
    assert_refused(&status, Code::InvalidArgument, "part is missing: expected gradient");

    let mut parts = unchained(0, 0, 1);
    while parts.len() > 1 {
        parts.pop();
        let status = Talk::open(&trainer, 1).await.refusal(parts.clone()).await;
        assert_broken(&status, "the stream ended in the middle of a commit");
    }
    assert_eq!(trainer.parameters().await, before);
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
}
