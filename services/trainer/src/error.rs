//! What the trainer refuses, and with which code.

use std::time::Duration;

use sphinx_channel::KeyDirectoryError;
use sphinx_linalg::{BiasError, RowCountError, UploadError};
use sphinx_models::StoreError;
use sphinx_network::SpecError;
use sphinx_optimizer::OptimizerError;
use sphinx_proto::{ConversionError, ErrorCode, KeyId, ModelId, Reason, RpcError};
use sphinx_quantise::LowerError;
use sphinx_runtime::ComputeError;
use sphinx_wire::commit::CommitError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainerError {
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyDirectoryError),
    #[error(transparent)]
    Compute(#[from] ComputeError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    Rows(#[from] RowCountError),
    #[error(transparent)]
    Lower(#[from] LowerError),
    #[error(transparent)]
    Bias(#[from] BiasError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("weight gradient: {0}")]
    Optimizer(#[from] OptimizerError),
    #[error("the network has {got} {what}, this service takes at most {limit}")]
    TooLarge { what: &'static str, got: usize, limit: usize },
    #[error("model {model} was made with key {expected}, the session uses {got}")]
    OtherKey { model: ModelId, got: KeyId, expected: KeyId },
    #[error("stage {got} of a network that has {stages}")]
    Stage { got: u32, stages: usize },
    #[error("stage 0 has no backward direction: nothing lies below it")]
    BackwardOfFirst,
    #[error("{got} input rows announced for stage {stage}, expected {expected}")]
    RowsAnnounced { stage: u32, got: u32, expected: usize },
    #[error("{got} blocks have {rows} input rows, one evaluation takes at most {limit}")]
    Blocks { got: u32, rows: u64, limit: usize },
    #[error("input rows of block {got}, expected block {expected}: send the blocks in order")]
    BlockOrder { got: u32, expected: usize },
    #[error("part from {offset} of {total} scalars")]
    Part { offset: u64, total: usize },
    #[error("received {got}, expected {expected}")]
    Order { got: &'static str, expected: &'static str },
    #[error("the stream ended in the middle of {during}")]
    CutShort { during: &'static str },
    #[error(
        "the commit is based on version {got}, the session is at {expected}: reopen the session"
    )]
    Base { got: u64, expected: u64 },
    #[error(
        "the session keeps no average to adopt: open it with optimizer.averaging, a decay in [0, 1)"
    )]
    NoAverage,
    #[error("{limit} training sessions are open already")]
    Busy { limit: usize },
    #[error("replies were not read for {millis} ms: reopen the session")]
    Unread { millis: u128 },
    #[error("the service is shutting down: reopen the session at its last committed version")]
    Draining,
    #[error("stored model {model} is damaged: {cause}")]
    Damaged { model: ModelId, cause: String },
}

impl RpcError for TrainerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Conversion(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Compute(error) => error.code(),
            Self::Rows(_) | Self::Damaged { .. } => ErrorCode::Internal,
            Self::Upload(error) => match error {
                UploadError::OutOfOrder { .. } | UploadError::Incomplete { .. } => {
                    ErrorCode::Aborted(Reason::StreamBroken)
                }
                UploadError::TooManyRows { .. }
                | UploadError::SeedLength { .. }
                | UploadError::BodyLength { .. } => ErrorCode::InvalidArgument,
            },
            Self::Spec(_)
            | Self::Lower(_)
            | Self::Bias(_)
            | Self::Optimizer(_)
            | Self::TooLarge { .. }
            | Self::Stage { .. }
            | Self::BackwardOfFirst
            | Self::RowsAnnounced { .. }
            | Self::Blocks { .. }
            | Self::Part { .. } => ErrorCode::InvalidArgument,
            Self::Commit(error) if !error.is_broken_stream() => ErrorCode::InvalidArgument,
            Self::Commit(_)
            | Self::Order { .. }
            | Self::CutShort { .. }
            | Self::BlockOrder { .. } => ErrorCode::Aborted(Reason::StreamBroken),
            Self::OtherKey { .. } | Self::NoAverage => ErrorCode::FailedPrecondition,
            Self::Base { .. } => ErrorCode::Aborted(Reason::BaseMoved),
            Self::Busy { .. } => ErrorCode::ResourceExhausted,
            Self::Unread { .. } => ErrorCode::DeadlineExceeded,
            Self::Draining => ErrorCode::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Busy { .. }).then_some(Duration::from_secs(1))
    }
}

impl From<TrainerError> for tonic::Status {
    fn from(error: TrainerError) -> Self {
        sphinx_proto::to_status(error)
    }
}
