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
    /// A batch in one shot of a network with activations.
    #[error(
        "the network has {got} linear layers, a batch in one shot is for networks with one, such as deskew-linear: \
         recognise with tickets, or image by image in one shot"
    )]
    NotLinear {
        /// Linear layers of the network.
        got: usize,
    },
    /// The weights have no integers that a batch can be computed with.
    #[error(transparent)]
    Weights(#[from] sphinx_quantise::LowerError),
    /// Canaries cannot be such a share of all queries.
    #[error(
        "canaries are {got} of all queries: expected a share above 0 and below 1, such as 0.05"
    )]
    CanaryShare {
        /// The share asked for.
        got: f64,
    },
}
