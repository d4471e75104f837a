//! What the inference service answers instead of a result.

use std::time::Duration;

use sphinx_bootstrap::{EvaluationError, OneShotNetworkError};
use sphinx_channel::KeyDirectoryError;
use sphinx_evaluation_keys::QueryError;
use sphinx_linalg::{BiasError, RowCountError, UploadError};
use sphinx_models::{NetworkFault, StoreError};
use sphinx_proto::{ConversionError, ErrorCode, KeyId, ModelId, RpcError};
use sphinx_quantise::QuantisationError;
use sphinx_runtime::ComputeError;

/// What a request is told to wait when too many rows are held or too many recognitions wait: about what a stage or a
/// recognition takes.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An error of the inference service.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InferenceError {
    /// A field that is none.
    #[error(transparent)]
    Field(#[from] ConversionError),
    /// The model belongs to another key.
    #[error("model {model} is encrypted under key {expected}, not {got}")]
    OtherKey {
        /// The model.
        model: ModelId,
        /// The key named by the request.
        got: KeyId,
        /// The model's key.
        expected: KeyId,
    },
    /// The model was deleted and made again since the client asked for its description.
    #[error("model {model} was deleted and made again: describe it again and prepare new tickets")]
    OtherIncarnation {
        /// The model.
        model: ModelId,
    },
    /// The key may not be used.
    #[error(transparent)]
    Key(#[from] KeyDirectoryError),
    /// No such stage.
    #[error("stage is {got}: model {model} has {count}, counted from 0")]
    Stage {
        /// The model.
        model: ModelId,
        /// The stage asked for.
        got: u32,
        /// Stages of the model.
        count: usize,
    },
    /// No image, or more than fit a message.
    #[error("images is {got}: expected 1 to {limit} for this stage")]
    Images {
        /// Images announced.
        got: u32,
        /// Most images of one request.
        limit: usize,
    },
    /// The stage needs more rows than this service ever holds.
    #[error("the stage needs {got} ciphertext rows at once, this service holds {limit}")]
    StageTooLarge {
        /// Rows needed.
        got: usize,
        /// The limit.
        limit: u32,
    },
    /// Other streams hold the rows.
    #[error("{got} more ciphertext rows do not fit the limit of {limit} now; try again later")]
    Busy {
        /// Rows needed.
        got: usize,
        /// The limit.
        limit: u32,
    },
    /// Other one-shot recognitions wait.
    #[error("{limit} one-shot recognitions wait already; try again later")]
    Waiting {
        /// Most that wait.
        limit: usize,
    },
    /// A second header within one stream.
    #[error("a header came after {received} rows: a stream has one header")]
    SecondHeader {
        /// Rows received before it.
        received: usize,
    },
    /// Uploaded rows were refused.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The weights cannot be quantised.
    #[error("model {model} version {version} cannot be used for recognition: {cause}")]
    Unquantisable {
        /// The model.
        model: ModelId,
        /// Its version.
        version: u64,
        /// Why.
        cause: QuantisationError,
    },
    /// A stored model that the trainer would not have stored.
    #[error("model {model} is damaged: {cause}")]
    DamagedModel {
        /// The model.
        model: ModelId,
        /// What is wrong with it.
        cause: ModelFault,
    },
    /// The evaluation keys are not those that the request expects.
    #[error(
        "the evaluation keys of {key_id} have fingerprint {expected}, the request expects {got}: register yours again"
    )]
    OtherFingerprint {
        /// The id.
        key_id: KeyId,
        /// What the request expects.
        got: String,
        /// What is registered.
        expected: String,
    },
    /// The network cannot be evaluated in one shot.
    #[error("model {model} version {version} cannot be used for one-shot recognition: {cause}")]
    NotOneShot {
        /// The model.
        model: ModelId,
        /// Its version.
        version: u64,
        /// Why.
        cause: OneShotNetworkError,
    },
    /// The encrypted image was refused.
    #[error(transparent)]
    Query(QueryError),
    /// The registered evaluation keys are none of this version's.
    #[error("the registered evaluation keys cannot be used: {0}")]
    EvaluationKeys(#[from] sphinx_evaluation_keys::EvaluationKeyError),
    /// An evaluation ended without an answer.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The service is about to end.
    #[error("the service is stopping")]
    Stopped,
    /// The matrix does not fit the map, although both have this stage's size.
    #[error(transparent)]
    RowCount(#[from] RowCountError),
    /// The store failed, or has no such model or version.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A computation failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// How a stored model contradicts itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelFault {
    /// Its network cannot be read.
    #[error(transparent)]
    Network(#[from] NetworkFault),
    /// It does not have one list of weights and biases per stage.
    #[error("it has {weights} stages of weights and {biases} of biases, its network {expected}")]
    StageCount {
        /// Stages with weights.
        weights: usize,
        /// Stages with biases.
        biases: usize,
        /// Stages of the network.
        expected: usize,
    },
    /// Its biases have another size.
    #[error("stage {stage}: {cause}")]
    Biases {
        /// The stage.
        stage: usize,
        /// What is wrong with them.
        cause: BiasError,
    },
}

impl RpcError for InferenceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Field(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Compute(error) => error.code(),
            Self::OtherKey { .. }
            | Self::OtherIncarnation { .. }
            | Self::StageTooLarge { .. }
            | Self::OtherFingerprint { .. }
            | Self::NotOneShot { .. }
            | Self::EvaluationKeys(_)
            | Self::Unquantisable { .. } => ErrorCode::FailedPrecondition,
            Self::Stage { .. } | Self::Images { .. } | Self::SecondHeader { .. } => {
                ErrorCode::InvalidArgument
            }
            Self::Upload(error) => match error {
                UploadError::OutOfOrder { .. } | UploadError::Incomplete { .. } => {
                    ErrorCode::Aborted
                }
                UploadError::TooManyRows { .. }
                | UploadError::SeedLength { .. }
                | UploadError::BodyLength { .. } => ErrorCode::InvalidArgument,
            },
            Self::Query(_) => ErrorCode::InvalidArgument,
            Self::Evaluation(error) => match error {
                EvaluationError::Query(_) => ErrorCode::InvalidArgument,
                EvaluationError::Profile { .. } => ErrorCode::FailedPrecondition,
                EvaluationError::Cancelled => ErrorCode::Aborted,
                EvaluationError::Biases { .. } => ErrorCode::Internal,
            },
            Self::Stopped => ErrorCode::Unavailable,
            Self::Busy { .. } | Self::Waiting { .. } => ErrorCode::ResourceExhausted,
            Self::DamagedModel { .. } | Self::RowCount(_) => ErrorCode::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy { .. } | Self::Waiting { .. }).then_some(RETRY_AFTER)
    }
}

impl From<InferenceError> for tonic::Status {
    fn from(error: InferenceError) -> Self {
        sphinx_proto::to_status(error)
    }
}
