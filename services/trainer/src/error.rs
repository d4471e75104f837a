//! What the trainer refuses, and with which code.

use std::time::Duration;

use sphinx_channel::KeyDirectoryError;
use sphinx_linalg::{BiasError, RowCountError, UploadError};
use sphinx_models::StoreError;
use sphinx_network::SpecError;
use sphinx_optimizer::OptimizerError;
use sphinx_proto::{ConversionError, ErrorCode, KeyId, ModelId, Reason, RpcError, TenantId};
use sphinx_quantise::LowerError;
use sphinx_runtime::{ComputeError, ShareError};
use sphinx_wire::commit::CommitError;
use sphinx_wire::state::NoAverage;

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
    #[error("{got} blocks share a mask, one evaluation takes at most {limit}")]
    TooManyBlocks { got: u32, limit: usize },
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
    #[error(transparent)]
    NoAverage(#[from] NoAverage),
    #[error(
        "the step leads to another chain here than at the client: the two compute different bits; \
         use builds of the same release on both sides"
    )]
    Chain,
    #[error("the session follows another one, which commits: it was opened with `follows`")]
    Follows,
    #[error("the session commits itself: open one with `follows` to follow another")]
    CommitsItself,
    #[error("the session has no update rule")]
    NoRule,
    #[error(
        "the seed stands for other weights here (SHA-256 {expected}) than at the client ({got}): the \
         two compute different bits; use builds of the same release on both sides"
    )]
    OtherWeights { got: String, expected: String },
    #[error("biases of {got} stages, the model has {expected}")]
    BiasStages { got: usize, expected: usize },
    #[error("model {model} is another than the one that is meant: it was deleted and made again")]
    OtherIncarnation { model: ModelId },
    #[error(
        "the networks of {model} and {other} have other shapes: their weights cannot be compared"
    )]
    OtherShape { model: ModelId, other: ModelId },
    #[error(transparent)]
    Busy(#[from] ShareError),
    #[error(
        "{stored} bytes are stored of the models of tenant {tenant}, and {bytes} more would be above the limit of {limit}: \
         delete models that are not needed, or ask whoever runs the service for more"
    )]
    NoRoom { tenant: TenantId, stored: u64, bytes: u64, limit: u64 },
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
            Self::Rows(_) | Self::NoRule | Self::Damaged { .. } => ErrorCode::Internal,
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
            | Self::TooManyBlocks { .. }
            | Self::BiasStages { .. }
            | Self::Part { .. } => ErrorCode::InvalidArgument,
            Self::Commit(error) if !error.is_broken_stream() => ErrorCode::InvalidArgument,
            Self::Commit(_) | Self::Order { .. } | Self::CutShort { .. } => {
                ErrorCode::Aborted(Reason::StreamBroken)
            }
            Self::OtherKey { .. }
            | Self::NoAverage(_)
            | Self::Chain
            | Self::Follows
            | Self::CommitsItself
            | Self::OtherWeights { .. }
            | Self::OtherShape { .. }
            | Self::OtherIncarnation { .. } => ErrorCode::FailedPrecondition,
            Self::Base { .. } => ErrorCode::Aborted(Reason::BaseMoved),
            Self::Busy(error) => error.code(),
            Self::NoRoom { .. } => ErrorCode::ResourceExhausted,
            Self::Unread { .. } => ErrorCode::DeadlineExceeded,
            Self::Draining => ErrorCode::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        // Where there is no room, waiting makes none.
        let Self::Busy(error) = self else { return None };
        error.retry_after()
    }
}

impl From<TrainerError> for tonic::Status {
    fn from(error: TrainerError) -> Self {
        sphinx_proto::to_status(error)
    }
}
