//! Why a key may not be used.

use sphinx_proto::{ErrorCode, KeyId, RpcError, TenantId};
use tonic::Code;

use crate::address::AddressError;
use crate::security::SecurityError;

/// Why a key may not be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyDirectoryError {
    /// The configured text is not an address.
    #[error("key vault {0}")]
    Address(#[from] AddressError),
    /// The key vault cannot be called in a safe way.
    #[error("key vault: {0}")]
    Security(#[from] SecurityError),
    /// The key vault does not know the key.
    #[error("key {key_id} is not registered for tenant {tenant}; register it with ExchangeKeys")]
    Unknown {
        /// The tenant of the request.
        tenant: TenantId,
        /// The key asked for.
        key_id: KeyId,
    },
    /// The owner revoked the key.
    #[error(
        "key {key_id} of tenant {tenant} was revoked at {since} (seconds since 1970): nothing is served under it; use \
         another key"
    )]
    Revoked {
        /// The tenant of the request.
        tenant: TenantId,
        /// The key asked for.
        key_id: KeyId,
        /// When, in seconds since 1970-01-01 UTC.
        since: i64,
    },
    /// The key vault does not answer for what is registered.
    #[error("{message}")]
    Refused {
        /// Why not, and what to do.
        message: String,
    },
    /// No evaluation keys under this id, or no longer.
    #[error(
        "no evaluation keys are registered under key {key_id} of tenant {tenant}; register them with ExchangeKeys"
    )]
    NoEvaluation {
        /// The tenant of the request.
        tenant: TenantId,
        /// The key asked for.
        key_id: KeyId,
    },
    /// Others were registered in their place while they were fetched.
    #[error(
        "the evaluation keys {key_id} were exchanged meanwhile: fingerprint {got} is registered, expected {expected}"
    )]
    Exchanged {
        /// The key asked for.
        key_id: KeyId,
        /// What is registered now.
        got: String,
        /// What was when the request came.
        expected: String,
    },
    /// What the key vault sent is not what it has registered.
    #[error(
        "the key vault at {address} sent evaluation keys of fingerprint {got}, expected {expected}"
    )]
    Material {
        /// Its address.
        address: String,
        /// Of what came.
        got: String,
        /// As registered.
        expected: String,
    },
    /// The key vault did not answer.
    #[error("the key vault at {address} did not answer ({tries} tries): {cause}")]
    Unreachable {
        /// Its address.
        address: String,
        /// How often it was asked.
        tries: usize,
        /// What the last try said.
        cause: String,
    },
    /// The key vault answered with something that makes no sense.
    #[error("the key vault at {address} answered {code:?}: {message}")]
    Answer {
        /// Its address.
        address: String,
        /// The status code.
        code: Code,
        /// The status message.
        message: String,
    },
}

impl RpcError for KeyDirectoryError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. }
            | Self::Revoked { .. }
            | Self::Refused { .. }
            | Self::NoEvaluation { .. }
            | Self::Exchanged { .. } => ErrorCode::FailedPrecondition,
            Self::Unreachable { .. } => ErrorCode::Unavailable,
            Self::Address(_) | Self::Security(_) | Self::Answer { .. } | Self::Material { .. } => {
                ErrorCode::Internal
            }
        }
    }
}
