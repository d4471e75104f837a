//! The blocks of a step over several streams at once.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use sphinx_gradient::Tensor;

use crate::error::ClientError;
use crate::training::evaluator::{Direction, Shard};

/// A shard that asks for nothing more once another one has failed for good.
struct Heeding<'a> {
    shard: Box<dyn Shard + 'a>,
    failed: &'a AtomicBool,
    /// Whether it stopped for that.
    heeded: bool,
}

impl Shard for Heeding<'_> {
    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        first: usize,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        if self.failed.load(Ordering::Relaxed) {
            self.heeded = true;
            return Err(ClientError::Task { cause: "another shard failed".to_owned() });
        }
        self.shard.evaluate(stage, direction, first, blocks)
    }
}

/// Has every shard do `work` on its part of so many blocks, all at the same time; what it comes to
/// in the order of the blocks.
///
/// # Errors
/// One that forbids to try again, before any that does not.
pub(crate) fn spread<T: Send>(
    mut shards: Vec<Box<dyn Shard + '_>>,
    blocks: usize,
    work: impl Fn(&mut dyn Shard, Range<usize>) -> Result<Vec<T>, ClientError> + Sync,
) -> Result<Vec<T>, ClientError> {
    shards.truncate(blocks.max(1));
    let parts = parts(blocks, shards.len());
    let (failed, span) = (AtomicBool::new(false), tracing::Span::current());
    let one = |(shard, part)| {
        let mut shard = Heeding { shard, failed: &failed, heeded: false };
        let done = span.in_scope(|| work(&mut shard, part));
        if done.as_ref().is_err_and(|error| !error.is_transient()) {
            failed.store(true, Ordering::Relaxed);
        }
        (done, shard.heeded)
    };
    let ended = || ClientError::Task { cause: "a shard's thread ended unexpectedly".to_owned() };
    let mut shards = shards.into_iter().zip(parts);
    let done = std::thread::scope(|scope| {
        let own = shards.next();
        let others: Vec<_> = shards.map(|shard| scope.spawn(|| one(shard))).collect();
        let mut done: Vec<_> = own.map(one).into_iter().collect();
        done.extend(others.into_iter().map(|other| other.join().unwrap_or((Err(ended()), false))));
        done
    });
    let (mut results, mut worst) = (Vec::with_capacity(blocks), None);
    for (done, heeded) in done {
        match done {
            Ok(part) => results.extend(part),
            Err(error) => {
                let rank = if heeded { 0 } else { 1 + u8::from(!error.is_transient()) };
                if worst.as_ref().is_none_or(|(worst, _)| rank > *worst) {
                    worst = Some((rank, error));
                }
            }
        }
    }
    worst.map_or(Ok(results), |(_, error)| Err(error))
}

/// So many blocks in as many parts, in order, none more than one larger than another.
fn parts(blocks: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let at = move |part: usize| part * blocks / count.max(1);
    (0..count).map(move |part| at(part)..at(part + 1))
}

#[cfg(test)]
mod tests;
