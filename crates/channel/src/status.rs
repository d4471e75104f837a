//! What a status says besides its code: whether the transport or a service speaks, and why.

use std::error::Error;
use std::io;

use sphinx_tls::tokio_rustls::rustls::Error as RustlsError;
use tonic::{Code, Status};

/// What the transport says of an answer that ended without a status, as a load balancer leaves it
/// when a service dies in the middle. It has no cause.
const CUT: &str = "missing grpc-status trailer";

/// Whether the connection broke while a request was under way: the transport's own status, which
/// unlike a service's has a cause, or none at all. Its code depends on where the break was noticed.
pub(crate) fn broken(status: &Status) -> bool {
    if status.code() == Code::Unknown && status.message().contains(CUT) {
        return true;
    }
    let code = matches!(
        status.code(),
        Code::Unknown | Code::Cancelled | Code::Internal | Code::DeadlineExceeded
    );
    code && Error::source(status).is_some()
}

/// Whether TLS ended it: somebody is not who he should be, and will not be at the next try.
pub(crate) fn untrusted(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error does not count what it was made of among its sources.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<RustlsError>() || within.is_some_and(|inner| inner.is::<RustlsError>()) {
            return true;
        }
        cause = error.source();
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_is_a_break_and_no_word_of_a_service() {
        let cut = "protocol error: missing grpc-status trailer, stream was terminated";
        assert!(broken(&Status::unknown(cut)));
        for word in [Status::unknown("no idea"), Status::internal(cut), Status::not_found(cut)] {
            assert!(!broken(&word), "{word}");
        }
    }
}
