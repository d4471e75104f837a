//! The seam between training and whoever evaluates the linear layers.

mod observed;
mod whole;

use std::time::Duration;

use sphinx_gradient::Tensor;
pub use sphinx_network::Direction;

pub use self::observed::{Event, Observed};
pub(crate) use self::whole::Whole;
use crate::error::ClientError;
use crate::traffic::Traffic;
use crate::training::sealed::Sealed;

/// What one step is made of. The gradient of the weights may be seen by the server, that of the
/// biases stays here.
#[derive(Clone, Default, PartialEq)]
pub struct Update {
    /// Noised gradient of the weights by stage, divided by the expected batch size.
    pub gradient: Vec<Vec<f32>>,
    /// Noised gradient of the biases by stage, likewise.
    pub bias_gradient: Vec<Vec<f32>>,
    /// Instead of a step: the session's averages become the parameters. There is no gradient then.
    pub adopts_average: bool,
}

/// Evaluates linear layers and takes updates: the trainer on ciphertexts
/// ([`crate::EncryptedSession`]), or its twin in the clear ([`crate::ClearTwin`]). Calls block;
/// training runs on a thread of its own.
pub trait Evaluator: Send {
    /// The version that evaluations use.
    fn version(&self) -> u64;

    /// The current biases by stage. Only this side knows them.
    fn biases(&self) -> &[Vec<f32>];

    /// One linear product on blocks of 2048 slots each, in one exchange: rows × slots in and out,
    /// one tensor per block.
    ///
    /// # Errors
    /// [`ClientError`]; transient ones leave the evaluator to be [`reopened`](Evaluator::reopen).
    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError>;

    /// Those among whom the blocks of a step are divided: at least one.
    fn shards(&mut self) -> Vec<Box<dyn Shard + '_>>;

    /// Steps of the session that are done: the number of the next one.
    fn steps(&self) -> u64;

    /// The exact bytes that commit an update as step `step`; `last` ends the session. The step is
    /// made here first, on a mirror, so that nothing leaves that would diverge. Sealed under a
    /// fresh nonce, so every call differs.
    ///
    /// # Errors
    /// [`ClientError`] if the update does not fit the network or diverges.
    fn seal(&mut self, step: u64, update: &Update, last: bool) -> Result<Sealed, ClientError>;

    /// Commits a sealed update as step `step` of this session. Repeating a commit that was stored
    /// changes nothing.
    ///
    /// # Errors
    /// [`ClientError`]; after a transient one reopen and repeat with the same bytes.
    fn commit(&mut self, step: u64, sealed: &Sealed, update: &Update) -> Result<(), ClientError>;

    /// Connects again at the last committed version and says whether `step` of this session is the
    /// last commit.
    ///
    /// # Errors
    /// [`ClientError`] if the service does not come back.
    fn reopen(&mut self, step: u64) -> Result<bool, ClientError>;

    /// Bytes moved so far.
    fn traffic(&self) -> Traffic;

    /// CPU time of this side's threads that checks of products took so far.
    fn check_cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// Whoever takes some of a step's blocks through the layers, while others take the rest.
pub trait Shard: Send {
    /// As [`Evaluator::evaluate`], on blocks of the step of which the first has number `first`.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        first: usize,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError>;
}

impl<E: Evaluator + ?Sized> Evaluator for &mut E {
    fn version(&self) -> u64 {
        (**self).version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        (**self).biases()
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        (**self).evaluate(stage, direction, blocks)
    }

    fn shards(&mut self) -> Vec<Box<dyn Shard + '_>> {
        (**self).shards()
    }

    fn steps(&self) -> u64 {
        (**self).steps()
    }

    fn seal(&mut self, step: u64, update: &Update, last: bool) -> Result<Sealed, ClientError> {
        (**self).seal(step, update, last)
    }

    fn commit(&mut self, step: u64, sealed: &Sealed, update: &Update) -> Result<(), ClientError> {
        (**self).commit(step, sealed, update)
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        (**self).reopen(step)
    }

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }

    fn check_cpu(&self) -> Duration {
        (**self).check_cpu()
    }
}
