//! What can go wrong in one-shot inference besides the connection.

/// Why a query cannot be made or an answer not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OneShotInferenceError {
    /// A query or an answer of a one-shot recognition is unusable.
    #[error(transparent)]
    Ciphertext(#[from] sphinx_secret::OneShotError),
    /// No query of a one-shot recognition holds the network's input.
    #[error(transparent)]
    Layout(#[from] sphinx_evaluation_keys::LayoutError),
    /// The network cannot be evaluated in one shot.
    #[error(transparent)]
    Network(#[from] sphinx_bootstrap::OneShotNetworkError),
    /// Canaries cannot be such a share of all queries.
    #[error(
        "canaries are {got} of all queries: expected a share above 0 and below 1, such as 0.05"
    )]
    CanaryShare {
        /// The share asked for.
        got: f64,
    },
}
