//! What the inference service answers instead of a result.

use std::time::Duration;

use sphinx_bootstrap::{EvaluationError, OneShotNetworkError};
use sphinx_channel::KeyDirectoryError;
use sphinx_evaluation_keys::QueryError;
use sphinx_linalg::{BiasError, RowCountError, UploadError};
use sphinx_models::{NetworkFault, StoreError};
use sphinx_proto::{ConversionError, ErrorCode, KeyId, ModelId, Reason, RpcError};
use sphinx_quantise::{LowerError, QuantisationError};
use sphinx_runtime::{ComputeError, ShareError};

/// What a request is told to wait when too many rows are held or too many recognitions wait: about
/// what a stage or a recognition takes.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An error of the inference service.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum InferenceError {
    #[error(transparent)]
    Field(#[from] ConversionError),
    #[error("model {model} is encrypted under key {expected}, not {got}")]
    OtherKey { model: ModelId, got: KeyId, expected: KeyId },
    #[error("model {model} was deleted and made again: describe it again and prepare new tickets")]
    OtherIncarnation { model: ModelId },
    #[error(transparent)]
    Key(#[from] KeyDirectoryError),
    #[error("stage is {got}: model {model} has {count}, counted from 0")]
    Stage { model: ModelId, got: u32, count: usize },
    #[error("images is {got}: expected 1 to {limit} for this stage")]
    Images { got: u32, limit: usize },
    #[error(
        "model {model} has {got} linear layers, a batch in one shot is for networks with one: use Infer with tickets, \
         or InferOnce"
    )]
    NotLinear { model: ModelId, got: usize },
    #[error("blocks is {got}: expected 1 to {limit} for the {inputs} inputs of this network")]
    Blocks { got: u32, limit: usize, inputs: usize },
    #[error("model {model} version {version} cannot be used in this profile: {cause}")]
    Range { model: ModelId, version: u64, cause: LowerError },
    #[error("the stage needs {got} ciphertext rows at once, this service holds {limit}")]
    StageTooLarge { got: usize, limit: u32 },
    #[error(transparent)]
    Busy(#[from] ShareError),
    #[error("the stream does not begin with a header: expected one")]
    NoHeader,
    #[error("a header came after {received} rows: a stream has one header")]
    SecondHeader { received: usize },
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("model {model} version {version} cannot be used for recognition: {cause}")]
    Unquantisable { model: ModelId, version: u64, cause: QuantisationError },
    #[error("model {model} is damaged: {cause}")]
    DamagedModel { model: ModelId, cause: ModelFault },
    #[error(
        "the evaluation keys of {key_id} have fingerprint {expected}, the request expects {got}: register yours again"
    )]
    OtherFingerprint { key_id: KeyId, got: String, expected: String },
    #[error("model {model} version {version} cannot be used for one-shot recognition: {cause}")]
    NotOneShot { model: ModelId, version: u64, cause: OneShotNetworkError },
    #[error(
        "model {model} version {version} has no biases for one-shot recognition: its owner uploads them (PutBiases at \
         the trainer; the SDK does so before the first request)"
    )]
    NoBiases { model: ModelId, version: u64 },
    #[error(transparent)]
    Query(QueryError),
    #[error("the registered evaluation keys cannot be used: {0}")]
    EvaluationKeys(#[from] sphinx_evaluation_keys::EvaluationKeyError),
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error("the service is stopping")]
    Stopped,
    #[error(transparent)]
    RowCount(#[from] RowCountError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// How a stored model contradicts itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ModelFault {
    #[error(transparent)]
    Network(#[from] NetworkFault),
    #[error("it has {got} stages of weights, its network {expected}")]
    StageCount { got: usize, expected: usize },
    #[error("its biases for one shot have {got} stages, its network {expected}")]
    BiasStages { got: usize, expected: usize },
    #[error("its biases for one shot cannot be read")]
    BiasRecord,
    #[error("biases for one shot of stage {stage}: {cause}")]
    Biases { stage: usize, cause: BiasError },
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
            | Self::NotLinear { .. }
            | Self::Range { .. }
            | Self::NoBiases { .. }
            | Self::EvaluationKeys(_)
            | Self::Unquantisable { .. } => ErrorCode::FailedPrecondition,
            Self::Stage { .. } | Self::Images { .. } | Self::Blocks { .. } => {
                ErrorCode::InvalidArgument
            }
            Self::NoHeader | Self::SecondHeader { .. } => ErrorCode::Aborted(Reason::StreamBroken),
            Self::Upload(error) => match error {
                UploadError::OutOfOrder { .. } | UploadError::Incomplete { .. } => {
                    ErrorCode::Aborted(Reason::StreamBroken)
                }
                UploadError::TooManyRows { .. }
                | UploadError::SeedLength { .. }
                | UploadError::BodyLength { .. } => ErrorCode::InvalidArgument,
            },
            Self::Query(_) => ErrorCode::InvalidArgument,
            Self::Evaluation(error) => match error {
                EvaluationError::Query(_) => ErrorCode::InvalidArgument,
                EvaluationError::Profile { .. } => ErrorCode::FailedPrecondition,
                // The caller has gone; what it hears, if anything, is that its request was cut off.
                EvaluationError::Cancelled => ErrorCode::Aborted(Reason::StreamBroken),
                EvaluationError::Biases { .. } => ErrorCode::Internal,
            },
            Self::Stopped => ErrorCode::Unavailable,
            Self::Busy(error) => error.code(),
            Self::DamagedModel { .. } | Self::RowCount(_) => ErrorCode::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let Self::Busy(error) = self else { return None };
        error.retry_after()
    }
}

impl From<InferenceError> for tonic::Status {
    fn from(error: InferenceError) -> Self {
        sphinx_proto::to_status(error)
    }
}
