//! What can be wrong with the state of a model version.

use sphinx_secret::SealError;

/// Why a version of a model cannot be used. Nothing was decrypted that the server could choose.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StateError {
    /// The sealed state is not what the owner sealed for this version.
    #[error(
        "the sealed state of model {model} version {version} does not open: {cause}; it belongs to another key, or \
         somebody altered the model"
    )]
    Sealed {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// Why it does not open.
        cause: SealError,
    },
    /// The sealed state opens and is none of the network.
    #[error(
        "the sealed state of model {model} version {version} is of no use here: {cause}; use the release that sealed it"
    )]
    Contents {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// The weights are not those of the version.
    #[error(
        "the weights of model {model} version {version} are not the ones its owner trained: their hash is another"
    )]
    Weights {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// The version is not the one that this machine knows.
    #[error(
        "model {model} version {version} is another than the one trained here: its hash chain differs; somebody \
         replaced the model, or trained it from an older copy"
    )]
    OtherChain {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// The server has an older version than this machine has seen.
    #[error(
        "model {model} is at version {got}, this machine has seen version {seen}: the service went back to an older copy"
    )]
    OlderVersion {
        /// The model.
        model: String,
        /// The server's version.
        got: u64,
        /// The highest seen here.
        seen: u64,
    },
    /// Client and service compute different bits from the same weights.
    #[error(
        "client {ours} and service {theirs} compute different bits from the same weights of model {model}: use builds \
         of the same release; this is no sign of a cheating service"
    )]
    OtherBuild {
        /// The model.
        model: String,
        /// This build.
        ours: String,
        /// The service's build, as it says.
        theirs: String,
    },
    /// A product is wrong.
    #[error(
        "the service answered a product of model {model} version {version} wrongly (stage {stage}, {phase}): nothing was \
         sent and nothing spent; the model and its key are marked as suspect, see `sphinx models suspect`"
    )]
    WrongProduct {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// The stage, counted from 0.
        stage: usize,
        /// `forward`, `backward` or `recognition`.
        phase: &'static str,
    },
}
