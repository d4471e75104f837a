//! Streams that follow the one of their session that commits.

use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Direction, Follow, Followed, OpenSession};
use tonic::{Code, Status};

use crate::common::{Trainer, assert_refused, start_with_model};
use crate::talk::{Talk, opening};

/// A stream beside session 1 that begins at this version.
async fn follower(trainer: &Trainer, version: u64) -> Result<Talk, Status> {
    let open = OpenSession { follows: Some(version), ..opening(1) };
    Talk::begin(trainer.client.clone(), Part::Open(open)).await
}

async fn followed(talk: &mut Talk, version: u64) -> Result<Followed, Status> {
    talk.send(Part::Follow(Follow { version })).await;
    match talk.reply().await? {
        Reply::Followed(followed) => Ok(followed),
        other => panic!("{other:?} instead of followed"),
    }
}

#[tokio::test]
async fn a_stream_that_follows_computes_with_what_the_other_one_committed() {
    let trainer = start_with_model(|_| ()).await;
    let mut leader = Talk::open(&trainer, 1).await;
    let mut shard = follower(&trainer, 0).await.unwrap();
    assert!(shard.opened.follows && !leader.opened.follows);
    for (stage, direction) in
        [(0, Direction::Forward), (1, Direction::Forward), (1, Direction::Backward)]
    {
        let expected = leader.evaluate(stage, direction).await.unwrap();
        let product = shard.evaluate(stage, direction).await.unwrap();
        assert!(product.header.version == 0 && product.rows() == expected.rows());
    }
    for version in 1..=3 {
        let chain = leader.commit(version - 1, version - 1, version as u8).await.unwrap().chain;
        let expected = leader.evaluate(1, Direction::Forward).await.unwrap();
        // Until it is told to, it stays where it was.
        let stale = shard.evaluate(1, Direction::Forward).await.unwrap();
        assert!(stale.header.version == version - 1 && stale.rows() != expected.rows());
        let arrived = followed(&mut shard, version).await.unwrap();
        assert_eq!((arrived.version, &arrived.chain), (version, &chain));
        assert_eq!(arrived.working_sha256, leader.mirror.working_sha256()[..]);
        let product = shard.evaluate(1, Direction::Forward).await.unwrap();
        assert!(product.header.version == version && product.rows() == expected.rows());
    }
    // One that comes late begins where it is told to.
    let late = follower(&trainer, 2).await.unwrap();
    assert_eq!(late.opened.state.as_ref().unwrap().version, 2);
}

#[tokio::test]
async fn rejects_commits_of_a_stream_that_follows_and_following_of_one_that_commits() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut leader = Talk::open(&trainer, 1).await;
    let shard = follower(&trainer, 0).await.unwrap();
    let (update, _) = leader.update(0, 0, 1);
    let stored = trainer.parameters().await;
    let refused = shard.refusal(update).await;
    let precondition = Code::FailedPrecondition;
    assert_refused(&refused, precondition, "the session follows another one, which commits");
    assert_eq!(trainer.parameters().await, stored);

    leader.commit(0, 0, 1).await.unwrap();
    let refused = leader.refusal([Part::Follow(Follow { version: 0 })]).await;
    assert_refused(&refused, precondition, "the session commits itself");
}

#[tokio::test]
async fn rejects_versions_that_are_not_there() {
    let trainer = start_with_model(|_| ()).await;
    let refused = follower(&trainer, 1).await.err().unwrap();
    assert_refused(&refused, Code::NotFound, "model m has no version 1");
    let mut shard = follower(&trainer, 0).await.unwrap();
    let refused = followed(&mut shard, 1).await.unwrap_err();
    assert_refused(&refused, Code::NotFound, "model m has no version 1");
}
