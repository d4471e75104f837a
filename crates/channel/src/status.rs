//! What a status says besides its code: whether the transport or a service speaks, and why.

use std::error::Error;

use tonic::{Code, Status};

/// Whether the connection broke while a request was under way: the transport's own status, which
/// unlike a service's has a cause. Its code depends on where the break was noticed.
pub(crate) fn broken(status: &Status) -> bool {
    let code = matches!(
        status.code(),
        Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded
    );
    code && Error::source(status).is_some()
}

/// The first cause; what tonic says around it is only "transport error".
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => cause.to_string(),
    }
}
