//! One credential: what it is known by, and what it is good for.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sphinx_proto::TenantId;
use subtle::{Choice, ConstantTimeEq};

use crate::error::RegisterError;
use crate::role::Role;

/// Digits of the digest in an id.
const ID_DIGITS: usize = 12;

/// The SHA-256 of a token or of a certificate, which is all that a service keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a token's text, or of the DER bytes of a certificate.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Compares in a time that does not depend on where they differ.
    pub(crate) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(Self(hex::decode(text).ok()?.try_into().ok()?))
    }

    /// What people call the credential: the beginning of the digest.
    pub fn id(&self) -> String {
        self.to_string().chars().take(ID_DIGITS).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A bearer token.
    Token,
    /// A client's certificate.
    Certificate,
}

/// What a credential is good for. Its tenant is there exactly if its role belongs to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    role: Role,
    tenant: Option<TenantId>,
}

impl Scope {
    /// A role, with the tenant that it belongs to.
    ///
    /// # Errors
    /// [`RegisterError::Scope`] if a tenant is missing or there is one too many.
    pub fn new(role: Role, tenant: Option<TenantId>) -> Result<Self, RegisterError> {
        if role.is_tenants() == tenant.is_some() {
            Ok(Self { role, tenant })
        } else {
            Err(RegisterError::Scope { role, needs: role.is_tenants() })
        }
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whose objects it reaches; `None` for a role of no tenant.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
}

/// A credential as a register keeps it: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is known by.
    pub digest: Digest,
    /// What it is.
    pub kind: Kind,
    /// What it is good for.
    pub scope: Scope,
    /// A remark for the list.
    pub note: String,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_unix_seconds: i64,
    /// From when on it counts no more.
    pub expires_unix_seconds: Option<i64>,
    /// Since when it is revoked.
    pub revoked_unix_seconds: Option<i64>,
}

impl Credential {
    /// Whether it counts no more at `now`, seconds since 1970-01-01 UTC.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_unix_seconds.is_some_and(|last| now >= last)
    }
}
