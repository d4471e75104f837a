//! What a refusal leaves to do: the table at the head of `common.proto`, from the caller's side.

use sphinx_proto::Reason;
use tonic::Code;

/// What may follow a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same request may be sent again, byte for byte, after a pause.
    Again,
    /// The stored state has to be read first: the request was made for another one.
    Reread,
    /// The request itself is refused, and will be when it is sent again.
    Never,
    /// Nothing that this side can mend: what was asked for does not exist, or the service failed.
    Stop,
}

impl Verdict {
    /// The verdict of a status.
    pub fn of(code: Code, reason: Option<Reason>) -> Self {
        match code {
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => Self::Again,
            Code::Aborted => match reason {
                Some(Reason::StreamBroken) => Self::Again,
                Some(Reason::BaseMoved) => Self::Reread,
                None => Self::Stop,
            },
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => Self::Never,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => Self::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_verdict() {
        let rows = [
            (Code::InvalidArgument, None, Verdict::Never),
            (Code::FailedPrecondition, None, Verdict::Never),
            (Code::OutOfRange, None, Verdict::Never),
            (Code::NotFound, None, Verdict::Stop),
            (Code::AlreadyExists, None, Verdict::Stop),
            (Code::Aborted, Some(Reason::StreamBroken), Verdict::Again),
            (Code::Aborted, Some(Reason::BaseMoved), Verdict::Reread),
            (Code::Aborted, None, Verdict::Stop),
            (Code::ResourceExhausted, None, Verdict::Again),
            (Code::Unavailable, None, Verdict::Again),
            (Code::DeadlineExceeded, None, Verdict::Again),
            (Code::Internal, None, Verdict::Stop),
            (Code::Unknown, None, Verdict::Stop),
            (Code::Cancelled, None, Verdict::Stop),
            (Code::DataLoss, None, Verdict::Stop),
            (Code::Unimplemented, None, Verdict::Stop),
            (Code::PermissionDenied, None, Verdict::Stop),
            (Code::Unauthenticated, None, Verdict::Stop),
        ];
        for (code, reason, expected) in rows {
            assert_eq!(Verdict::of(code, reason), expected, "{code:?} {reason:?}");
            // A reason belongs to ABORTED and changes no other code.
            if code != Code::Aborted {
                for reason in Reason::ALL {
                    assert_eq!(Verdict::of(code, Some(reason)), expected, "{code:?} {reason:?}");
                }
            }
        }
        assert_eq!(rows.len(), 16 + 2, "a row per error code, and ABORTED three times");
    }
}
