//! What a one-shot recognition cannot evaluate.

use sphinx_evaluation_keys::LayoutError;

/// Why a network cannot be evaluated in one shot.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OneShotNetworkError {
    /// No query can hold the network's input.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Too many or too few weights.
    #[error("{got} {}, expected {expected}", match stage { None => "stages of weights".to_owned(), Some(stage) => format!("weights in stage {stage}") })]
    Count {
        /// The stage, or none if it is the number of stages that is wrong.
        stage: Option<usize>,
        /// Number found.
        got: usize,
        /// Number expected.
        expected: usize,
    },
    /// A weight is infinite or no number.
    #[error("stage {stage} has weights that are not finite")]
    NotFinite {
        /// The stage.
        stage: usize,
    },
    /// The range declared for pre-activations.
    #[error("half the range of pre-activations is {got}, expected 1 to {limit}")]
    HalfRange {
        /// What was declared.
        got: f32,
        /// The largest.
        limit: f32,
    },
    /// An activation that rises for longer than the range of pre-activations.
    #[error(
        "stage {stage}: a table of {activation} takes half a range of at least {got}, {limit} is declared: lower its cap"
    )]
    SlopeTooWide {
        /// The stage.
        stage: usize,
        /// The activation.
        activation: String,
        /// Half the range that it takes.
        got: f64,
        /// Half the range that is declared.
        limit: f64,
    },
    /// Logits too large for the torus.
    #[error("stage {stage}: logits may reach {got}, at most {limit} can be told apart")]
    LogitsTooLarge {
        /// The stage.
        stage: usize,
        /// What the weights allow.
        got: f64,
        /// The limit.
        limit: f64,
    },
    /// Something between the linear layers that no table evaluates.
    #[error(
        "after stage {stage} the network has {op}; one-shot recognition evaluates exactly one activation between linear \
         layers (an average pool right after a convolution is part of the convolution)"
    )]
    Unsupported {
        /// The stage.
        stage: usize,
        /// The steps found.
        op: String,
    },
    /// Weights too large to be multiplied exactly.
    #[error(
        "stage {stage}: the absolute integer weights of an output sum to {got}, at most {limit} can be multiplied exactly"
    )]
    WeightsTooLarge {
        /// The stage.
        stage: usize,
        /// Their sum.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// More neurons than one recognition may bootstrap.
    #[error("{got} neurons to bootstrap, at most {limit}")]
    TooManyNeurons {
        /// Neurons of the network.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// More logits than one answer has room for.
    #[error("{got} classes, an answer has room for {limit}")]
    TooManyClasses {
        /// Classes of the network.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// More terms than a network may hold.
    #[error("stages 0 to {stage} have {got} terms in their sums, at most {limit} are held")]
    TooManyTerms {
        /// The stage that exceeds the limit.
        stage: usize,
        /// Terms up to this stage.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// No transform for the ring; a fault of this library.
    #[error("no number-theoretic transform for the ring of the ciphertexts")]
    NoTransform,
}
