//! What can be wrong with files and with what is to be evaluated.

use sphinx_bootstrap::{EvaluationError, OneShotNetworkError};
use sphinx_evaluation_keys::{EvaluationKeyError, QueryError};
use sphinx_linalg::BiasError;
use sphinx_network::SpecError;
use sphinx_objects::record::RecordError;
use sphinx_proto::ConversionError;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OfflineError {
    /// Bytes that are not what was asked for.
    #[error("the bytes are no {what}: {cause}")]
    File {
        /// What was asked for.
        what: &'static str,
        /// What is wrong.
        cause: RecordError,
    },
    /// A request for something else than what is at hand.
    #[error(
        "the request is for {field} {got}, the file has {expected}: make the request again or bring the right file"
    )]
    Other {
        /// What differs.
        field: &'static str,
        /// In the request.
        got: String,
        /// At hand.
        expected: String,
    },
    /// A model file that contradicts itself.
    #[error("the model file is damaged: {got} {what}, expected {expected}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// Number found.
        got: usize,
        /// Number expected.
        expected: usize,
    },
    /// A message with a field that cannot be.
    #[error(transparent)]
    Field(#[from] ConversionError),
    /// A network that cannot be.
    #[error(transparent)]
    Network(#[from] SpecError),
    /// A network that no request in one shot can ask.
    #[error("the model cannot be evaluated in one shot: {0}")]
    NotOneShot(#[from] OneShotNetworkError),
    /// Biases that cannot be read.
    #[error("biases of stage {stage} cannot be read: {cause}")]
    Biases {
        /// The stage.
        stage: usize,
        /// What is wrong.
        cause: BiasError,
    },
    /// Evaluation keys that cannot be used.
    #[error(transparent)]
    Keys(#[from] EvaluationKeyError),
    /// A request of another size than the network's.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An evaluation that failed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}
