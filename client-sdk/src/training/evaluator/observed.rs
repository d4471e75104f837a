//! An evaluator that lets somebody watch.

use std::time::Duration;

use sphinx_gradient::Tensor;

use super::{Direction, Evaluator, Shard, Update};
use crate::error::ClientError;
use crate::traffic::Traffic;
use crate::training::sealed::Sealed;

/// What an observer is told, next to the evaluator as it is at that moment.
pub enum Event<'a> {
    /// An update is about to be committed; the evaluator is still at the version before.
    Committing {
        /// The update.
        update: &'a Update,
        /// The bytes that leave.
        sealed: &'a Sealed,
    },
    /// The update is committed; the evaluator is at the version after.
    Committed {
        /// The update.
        update: &'a Update,
    },
}

/// Passes every call on to an evaluator and tells an observer of the commits: for audits, attacks
/// and tests, which see what the server or the client sees without changing it.
pub struct Observed<E, F> {
    /// The evaluator that does the work.
    pub evaluator: E,
    observe: F,
}

impl<E: Evaluator, F: FnMut(&E, Event<'_>) + Send> Observed<E, F> {
    /// Watches `evaluator` with `observe`.
    pub fn new(evaluator: E, observe: F) -> Self {
        Self { evaluator, observe }
    }
}

impl<E: Evaluator, F: FnMut(&E, Event<'_>) + Send> Evaluator for Observed<E, F> {
    fn version(&self) -> u64 {
        self.evaluator.version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        self.evaluator.biases()
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        self.evaluator.evaluate(stage, direction, blocks)
    }

    fn shards(&mut self) -> Vec<Box<dyn Shard + '_>> {
        self.evaluator.shards()
    }

    fn steps(&self) -> u64 {
        self.evaluator.steps()
    }

    fn seal(&mut self, step: u64, update: &Update, last: bool) -> Result<Sealed, ClientError> {
        self.evaluator.seal(step, update, last)
    }

    fn commit(&mut self, step: u64, sealed: &Sealed, update: &Update) -> Result<(), ClientError> {
        (self.observe)(&self.evaluator, Event::Committing { update, sealed });
        self.evaluator.commit(step, sealed, update)?;
        (self.observe)(&self.evaluator, Event::Committed { update });
        Ok(())
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        self.evaluator.reopen(step)
    }

    fn traffic(&self) -> Traffic {
        self.evaluator.traffic()
    }

    fn check_cpu(&self) -> Duration {
        self.evaluator.check_cpu()
    }
}
