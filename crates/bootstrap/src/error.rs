//! Why an evaluation ends without an answer.

use sphinx_evaluation_keys::QueryError;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// The caller has set the flag of its [`crate::Control`].
    #[error("the evaluation was cancelled")]
    Cancelled,
    /// The query does not fit the network.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The keys are of another profile than the network.
    #[error("evaluation keys of profile {got}, the network is quantised for {expected}")]
    Profile {
        /// The keys' profile.
        got: &'static str,
        /// The network's.
        expected: &'static str,
    },
    /// Not one bias per output channel.
    #[error("stage {stage} has {got} encrypted biases, expected {expected}")]
    Biases {
        /// The stage, or the number of stages if that is wrong.
        stage: usize,
        /// Biases found.
        got: usize,
        /// Biases expected.
        expected: usize,
    },
}
