use std::sync::Barrier;

use sphinx_channel::{ChannelError, Security};
use sphinx_proto::TenantId;

use super::*;
use crate::error::StateError;

type Answer = Result<Vec<Tensor>, ClientError>;
type Script = fn() -> Answer;

/// A shard that fails in its own way, or not.
struct Scripted(Script);

impl Shard for Scripted {
    fn evaluate(&mut self, _: usize, _: Direction, _: usize, _: &[&Tensor]) -> Answer {
        (self.0)()
    }
}

fn shards(scripts: &[Script]) -> Vec<Box<dyn Shard>> {
    let shard = |script: &Script| Box::new(Scripted(*script)) as Box<dyn Shard>;
    scripts.iter().map(shard).collect()
}

fn good() -> Answer {
    Ok(Vec::new())
}

/// As a service that goes away.
fn gone() -> Answer {
    // Shards have threads of their own, and a connection is made within a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let tenant = TenantId::default();
    let connection = sphinx_channel::Connection::new(
        "trainer",
        "http://127.0.0.1:1",
        &tenant,
        &Security::default(),
    );
    let error: ChannelError = connection.unwrap().refused(&tonic::Status::unavailable("gone"));
    assert!(error.is_transient());
    Err(error.into())
}

fn wrong() -> Answer {
    let (model, phase) = ("m".to_owned(), "forward");
    Err(StateError::WrongProduct { model, version: 3, stage: 1, phase }.into())
}

/// One product per block, whose number is the result.
fn products(shard: &mut dyn Shard, part: Range<usize>) -> Result<Vec<usize>, ClientError> {
    part.map(|block| shard.evaluate(0, Direction::Forward, block, &[]).map(|_| block)).collect()
}

#[test]
fn parts_are_alike_and_in_order() {
    for (blocks, count) in [(1, 1), (5, 2), (8, 8), (7, 3), (16, 5)] {
        let parts: Vec<_> = parts(blocks, count).collect();
        let all: Vec<_> = parts.iter().cloned().flatten().collect();
        assert_eq!(all, (0..blocks).collect::<Vec<_>>());
        let sizes = parts.iter().map(ExactSizeIterator::len);
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        assert!(least >= 1 && most - least <= 1, "{blocks} blocks in {parts:?}");
    }
}

#[test]
fn results_come_in_the_order_of_the_blocks_from_shards_that_work_at_once() {
    // Nobody passes before all are there.
    let meeting = Barrier::new(3);
    let work = |shard: &mut dyn Shard, part: Range<usize>| {
        meeting.wait();
        products(shard, part)
    };
    let done = spread(shards(&[good, good, good]), 7, work).unwrap();
    assert_eq!(done, (0..7).collect::<Vec<_>>());
    // Of more shards than blocks some stay idle.
    assert_eq!(spread(shards(&[good, wrong]), 1, products).unwrap(), [0]);
}

#[test]
fn a_wrong_product_counts_more_than_streams_that_break() {
    for scripts in [[gone as Script, wrong, gone], [wrong, gone, good], [good, gone, wrong]] {
        let error = spread(shards(&scripts), 6, products).unwrap_err();
        assert!(matches!(error, ClientError::State(StateError::WrongProduct { stage: 1, .. })));
    }
    assert!(spread(shards(&[good, gone]), 6, products).unwrap_err().is_transient());
}

#[test]
fn once_a_product_is_wrong_no_shard_asks_for_another() {
    let work = |shard: &mut dyn Shard, part: Range<usize>| {
        if part.start == 0 {
            return products(shard, part);
        }
        // Until the other one has failed.
        loop {
            if let Err(error) = products(shard, part.clone()) {
                assert!(error.to_string().contains("another shard failed"), "{error}");
                return Err(error);
            }
            std::thread::yield_now();
        }
    };
    let error = spread(shards(&[wrong, good]), 2, work).unwrap_err();
    assert!(matches!(error, ClientError::State(StateError::WrongProduct { .. })), "{error}");
}
