//! What can go wrong between a client and a service.

use sphinx_proto::Reason;
use tonic::Code;

use crate::address::AddressError;
use crate::security::SecurityError;
use crate::verdict::Verdict;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// An address that cannot be read.
    #[error("{service} service: {cause}")]
    Address {
        /// Name of the service.
        service: &'static str,
        /// The text given, and what is wrong with it.
        cause: AddressError,
    },
    /// A service that cannot be called in a safe way.
    #[error("{service} service: {cause}")]
    Security {
        /// Name of the service.
        service: &'static str,
        /// Why not.
        cause: SecurityError,
    },
    /// Nobody answers.
    #[error(
        "the {service} service at {address} does not answer ({tries} tries): {cause}; \
         is it running, and is this its address?"
    )]
    Unreachable {
        /// Name of the service.
        service: &'static str,
        /// Where it was looked for.
        address: String,
        /// How often it was tried.
        tries: usize,
        /// What the last try said.
        cause: String,
    },
    /// The service is not who it should be, or says so of this side.
    #[error(
        "the {service} service at {address} and this side do not come to terms by TLS: {cause}; see --ca, and \
         --certificate if it asks for one"
    )]
    Untrusted {
        /// Name of the service.
        service: &'static str,
        /// Where it was looked for.
        address: String,
        /// What TLS says.
        cause: String,
    },
    /// A service refused a request.
    #[error("the {service} service refused: {message} ({code:?}{})", request(request_id))]
    Refused {
        /// Name of the service.
        service: &'static str,
        /// The status code; `common.proto` says for each whether to retry.
        code: Code,
        /// Why it was ABORTED; `None` with other codes.
        reason: Option<Reason>,
        /// The service's words.
        message: String,
        /// The id under which the service logged the request.
        request_id: Option<String>,
    },
    /// A service answered with something that the protocol does not allow.
    #[error("the {service} service broke the protocol: got {got}, expected {expected}")]
    Protocol {
        /// Name of the service.
        service: &'static str,
        /// What came.
        got: String,
        /// What the protocol asks for.
        expected: String,
    },
}

impl ChannelError {
    /// What may follow, when a service refused.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Refused { code, reason, .. } => Some(Verdict::of(*code, *reason)),
            Self::Address { .. }
            | Self::Security { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Protocol { .. } => None,
        }
    }

    /// Whether the same request may succeed later without a change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || self.verdict() == Some(Verdict::Again)
    }

    /// Whether a service says that what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: Code::NotFound, .. })
    }
}

fn request(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default()
}
