//! The closed set of status codes a service answers with, and the one way from an error to a
//! [`Status`]. The meaning of each code, and whether to retry, is at the head of `common.proto`.

use std::{error::Error, time::Duration};

use tonic::{Code, Status, metadata::MetadataValue};

/// Reply metadata: milliseconds to wait before the next try.
pub const RETRY_AFTER_MS: &str = "retry-after-ms";

/// Reply metadata: why an RPC was ABORTED, one of the words of [`Reason`].
pub const REASON: &str = "sphinx-reason";

/// Why an RPC was ABORTED, which says what to do next; sent as [`REASON`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request's stream was cut, reordered or altered on its way: send the same bytes again.
    StreamBroken,
    /// The stored state is no longer the one that the request was made for: read it, then decide.
    BaseMoved,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::StreamBroken, Self::BaseMoved];

    /// The word that is sent.
    pub fn word(self) -> &'static str {
        match self {
            Self::StreamBroken => "stream_broken",
            Self::BaseMoved => "base_moved",
        }
    }

    /// The reason that a status names; `None` if it names none, or one of another version of this
    /// schema.
    pub fn of(status: &Status) -> Option<Self> {
        let word = status.metadata().get(REASON)?.to_str().ok()?;
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// Status codes of every RPC of package `sphinx.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request itself is wrong.
    InvalidArgument,
    /// Nobody known makes the request.
    Unauthenticated,
    /// Who makes the request may not.
    PermissionDenied,
    /// The model, version or key does not exist for this tenant.
    NotFound,
    /// A different object is stored under this id.
    AlreadyExists,
    /// The request does not fit the stored state.
    FailedPrecondition,
    /// The request's stream is broken, or somebody else was faster: the reason says which.
    Aborted(Reason),
    /// A limit was hit.
    ResourceExhausted,
    /// The service, or one it needs, is not there now.
    Unavailable,
    /// The deadline passed.
    DeadlineExceeded,
    /// A fault of the service.
    Internal,
}

impl From<ErrorCode> for Code {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::Unauthenticated => Self::Unauthenticated,
            ErrorCode::PermissionDenied => Self::PermissionDenied,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::AlreadyExists => Self::AlreadyExists,
            ErrorCode::FailedPrecondition => Self::FailedPrecondition,
            ErrorCode::Aborted(_) => Self::Aborted,
            ErrorCode::ResourceExhausted => Self::ResourceExhausted,
            ErrorCode::Unavailable => Self::Unavailable,
            ErrorCode::DeadlineExceeded => Self::DeadlineExceeded,
            ErrorCode::Internal => Self::Internal,
        }
    }
}

/// An error that may end an RPC.
///
/// Its `Display` text is sent to the caller unless the code is [`ErrorCode::Internal`], so it must
/// hold nothing the caller may not know.
pub trait RpcError: Error {
    /// The status code this error is answered with.
    fn code(&self) -> ErrorCode;

    /// When to try again, if the error says so; sent as [`RETRY_AFTER_MS`].
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Turns an error into the status that is sent.
///
/// The cause of an internal error goes to the log, inside the request's span and therefore with its
/// request id; the caller gets only a fixed sentence and finds the id in `x-request-id`.
// By value, so that it can be named in `map_err(to_status)`.
pub fn to_status(error: impl RpcError) -> Status {
    let code = error.code();
    if code == ErrorCode::Internal {
        tracing::error!(cause = %chain(&error), "request failed");
        return Status::internal(
            "internal fault; its cause is in the service's log under this x-request-id",
        );
    }
    tracing::debug!(?code, cause = %chain(&error), "request refused");
    let mut status = Status::new(code.into(), error.to_string());
    if let ErrorCode::Aborted(reason) = code {
        status.metadata_mut().insert(REASON, MetadataValue::from_static(reason.word()));
    }
    if let Some(delay) = error.retry_after() {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        status.metadata_mut().insert(RETRY_AFTER_MS, MetadataValue::from(millis));
    }
    status
}

/// An error's text followed by those of its sources.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("secret path /var/x")]
    struct Fault(ErrorCode);

    impl RpcError for Fault {
        fn code(&self) -> ErrorCode {
            self.0
        }
        fn retry_after(&self) -> Option<Duration> {
            Some(Duration::from_millis(250))
        }
    }

    #[test]
    fn internal_causes_are_not_sent() {
        let status = to_status(Fault(ErrorCode::Internal));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("/var/x"));
    }

    #[test]
    fn other_messages_and_the_delay_are_sent() {
        let status = to_status(Fault(ErrorCode::ResourceExhausted));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "secret path /var/x");
        assert_eq!(status.metadata().get(RETRY_AFTER_MS).unwrap(), "250");
        assert_eq!(Reason::of(&status), None);
    }

    #[test]
    fn reasons_survive_the_wire_and_unknown_ones_are_none() {
        for reason in Reason::ALL {
            let status = to_status(Fault(ErrorCode::Aborted(reason)));
            assert_eq!(status.code(), Code::Aborted);
            let mut headers = Default::default();
            status.add_header(&mut headers).unwrap();
            assert_eq!(headers.get("sphinx-reason").unwrap(), reason.word());
            let received = Status::from_header_map(&headers).unwrap();
            assert_eq!(Reason::of(&received), Some(reason));
        }
        let mut status = Status::aborted("of a later version");
        status.metadata_mut().insert(REASON, MetadataValue::from_static("moon_phase"));
        assert_eq!(Reason::of(&status), None);
    }
}
