//! What can go wrong in a training besides the connection.

use sphinx_network::Shape;
use sphinx_wire::training::profile::ProfileError;

use crate::error::{AugmentationError, ClientError, PersonsError};

/// Why a model cannot be trained, or no further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// Copies of examples that cannot be made or placed.
    #[error(transparent)]
    Augmentation(#[from] AugmentationError),
    /// Persons that cannot be the units of privacy.
    #[error(transparent)]
    Persons(#[from] PersonsError),
    /// The client's half of a training step failed.
    #[error(transparent)]
    Pass(#[from] sphinx_gradient::PassError),
    /// Images that are not what the network takes.
    #[error(
        "the images are {}, the network takes {}: scale them (--size), or choose another network",
        by(*got),
        by(*expected)
    )]
    Shape {
        /// Shape of the images.
        got: Shape,
        /// Shape of the network's input.
        expected: Shape,
    },
    /// Classes that are not the network's.
    #[error("the data set has {got} classes, the network tells {expected} apart")]
    Classes {
        /// Classes of the data set.
        got: usize,
        /// Classes of the network.
        expected: usize,
    },
    /// A tensor has the wrong shape.
    #[error(transparent)]
    Tensor(#[from] sphinx_gradient::TensorError),
    /// A linear product was asked for that the network does not have.
    #[error(
        "stage {stage} with {rows} rows of {slots} slots: the network has {stages} stages, and a block has {expected} slots"
    )]
    NoProduct {
        /// The stage asked for.
        stage: usize,
        /// Rows of the tensor.
        rows: usize,
        /// Slots of the tensor.
        slots: usize,
        /// Stages of the network.
        stages: usize,
        /// Slots of a block.
        expected: usize,
    },
    /// A step cannot be spread over so many streams.
    #[error(
        "{got} shards for steps of {blocks} blocks: each needs a block, so at most {blocks} (--shards), or more \
         blocks per step (--blocks)"
    )]
    Shards {
        /// Shards asked for.
        got: usize,
        /// Blocks of a step.
        blocks: u64,
    },
    /// A trainer cannot take part of the blocks.
    #[error(
        "the trainer at {address} cannot take a share of the blocks: {cause}; all trainers of a training need the \
         same store"
    )]
    Shard {
        /// Where it is.
        address: String,
        /// Why not.
        cause: Box<ClientError>,
    },
    /// A layer in the clear got the wrong parameters or tensor.
    #[error(transparent)]
    Clear(#[from] sphinx_gradient::ClearError),
    /// Hyper-parameters outside their domains, or a step that diverged.
    #[error(transparent)]
    Optimizer(#[from] sphinx_optimizer::OptimizerError),
    /// The weights cannot be made integers: they are too large, or not finite.
    #[error(transparent)]
    Integers(#[from] sphinx_quantise::LowerError),
    /// The privacy budget cannot be met as planned.
    #[error(transparent)]
    PrivacyPlan(#[from] sphinx_privacy::PlanError),
    /// The noise cannot be added.
    #[error(transparent)]
    Mechanism(#[from] sphinx_privacy::MechanismError),
    /// ε cannot be computed.
    #[error(transparent)]
    Accounting(#[from] sphinx_privacy::AccountingError),
    /// The privacy ledger forbids to go on.
    #[error(transparent)]
    Ledger(#[from] sphinx_privacy::ledger::LedgerError),
    /// The ledger of the data set forbids it.
    #[error(transparent)]
    Data(#[from] sphinx_privacy::data::DataLedgerError),
    /// The ledger's pending update names no session.
    #[error("the privacy ledger's pending update names the session {got:?}, expected hex/step")]
    LedgerSession {
        /// What it names.
        got: String,
    },
    /// The ledger is for one δ, the target for another.
    #[error(
        "the privacy ledger is for delta {ledger:e}, the budget is stated at {target:e}: give both the same"
    )]
    OtherDelta {
        /// Of the ledger.
        ledger: f64,
        /// Of the target.
        target: f64,
    },
    /// The model is elsewhere than the ledger's pending update.
    #[error(
        "the model is at version {server}, the ledger's pending update was made for {base}: {}",
        elsewhere(*server, *base)
    )]
    PendingLost {
        /// The server's version.
        server: u64,
        /// Version the pending update is based on.
        base: u64,
    },
    /// The network's sums are too large for a profile's words.
    #[error(transparent)]
    Profile(ProfileError),
    /// The ledger has an update that the service may not have.
    #[error(
        "an update of model {model} is recorded and not confirmed: run `sphinx train` first, which sends it again"
    )]
    UpdateOnItsWay {
        /// The model.
        model: String,
    },
    /// An average is to become the model that nobody kept.
    #[error("the session keeps no average to adopt: open it with a decay for averaging")]
    NoAverage,
    /// The bytes that a ledger keeps of an update are no update.
    #[error("the privacy ledger's pending update cannot be sent again: {cause}")]
    Sealed {
        /// What is wrong with them.
        cause: String,
    },
}

fn by(shape: Shape) -> String {
    format!("{}x{}x{}", shape.channels, shape.height, shape.width)
}

fn elsewhere(server: u64, base: u64) -> &'static str {
    if server < base {
        "the service went back to an older copy"
    } else {
        "somebody else trained it meanwhile, with steps that this ledger does not know"
    }
}
