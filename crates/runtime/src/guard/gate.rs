//! Who is let in, and what he may call: decided from the head of a request alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sphinx_access::{Credential, Digest, Register, RegisterError, Role, allowed, may_call};
use sphinx_proto::{ConversionError, ErrorCode, RpcError, TenantId};

use super::stamp::Stamps;
use crate::clock::unix_seconds;

/// The gate of a service. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Option<Arc<Guarded>>);

#[derive(Debug)]
struct Guarded {
    path: PathBuf,
    stamps: Stamps,
    register: RwLock<Arc<Register>>,
}

/// Who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) tenant: TenantId,
    /// Id of the credential, for the log; `None` where none is asked for.
    pub(crate) credential: Option<String>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Turned {
    #[error(transparent)]
    Name(#[from] ConversionError),
    #[error(
        "a credential is needed: send `authorization: Bearer sphinx_...` (SPHINX_TOKEN or --token-file); whoever \
         runs the service makes one with `sphinx tokens new`"
    )]
    Nobody,
    #[error("the credential is not known to this service; ask whoever runs it for another")]
    Unknown,
    #[error("credential {id} is revoked; ask whoever runs the service for another")]
    Revoked { id: String },
    #[error("credential {id} has expired; ask whoever runs the service for another")]
    Expired { id: String },
    #[error(
        "credential {id} is of tenant {own}, the request names {named}: name {own} (SPHINX_TENANT)"
    )]
    Foreign { id: String, own: TenantId, named: TenantId },
    #[error("{rpc} needs the role {}; credential {id} has {role}", or(roles))]
    Role { rpc: String, id: String, role: Role, roles: &'static [Role] },
    #[error("{rpc} may be called by nobody")]
    Closed { rpc: String },
}

/// Of which kind a request is, by its path.
enum Asked<'a> {
    /// Whether the service is well: everybody may know.
    Health,
    /// An RPC of the schema.
    Rpc(&'a str),
    /// What is none: reflection, or nothing that there is.
    Other,
}

impl Gate {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, RegisterError> {
        let Some(path) = path else { return Ok(Self(None)) };
        let stamps = Stamps::of([path].into_iter());
        let register = RwLock::new(Arc::new(Register::load(path)?));
        Ok(Self(Some(Arc::new(Guarded { path: path.to_owned(), stamps, register }))))
    }

    /// Takes what the file holds now if it has changed. Without the file nobody is let in any more;
    /// one that is damaged changes nothing, since nothing can be told from it.
    pub(super) fn look(&self) {
        let Some(guarded) = self.0.as_ref().filter(|guarded| guarded.stamps.changed()) else {
            return;
        };
        let register = match Register::load(&guarded.path) {
            Ok(register) => register,
            Err(error @ RegisterError::File { .. }) => {
                tracing::error!(%error, "credentials are gone: nobody is let in");
                Register::default()
            }
            Err(error) => {
                tracing::error!(%error, "changed credentials cannot be read; the last ones stay");
                return;
            }
        };
        tracing::info!(credentials = register.credentials().len(), "credentials read again");
        *guarded.register.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(register);
    }

    /// Who makes a request on `path`, if he may.
    ///
    /// # Errors
    /// [`Turned`], which nothing of the credential is in but its id.
    pub(crate) fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        certificate: Option<Digest>,
    ) -> Result<Admitted, Turned> {
        let named = named(headers);
        let anybody = |named: Option<TenantId>| Admitted {
            tenant: named.unwrap_or_default(),
            credential: None,
        };
        let asked = asked(path);
        let Some(guarded) = self.0.as_ref().filter(|_| !matches!(asked, Asked::Health)) else {
            // Names are a matter of RPCs; health and reflection take no notice of them.
            return match asked {
                Asked::Rpc(_) => Ok(anybody(named?)),
                Asked::Health | Asked::Other => Ok(anybody(named.unwrap_or_default())),
            };
        };
        let register = Arc::clone(&guarded.register.read().unwrap_or_else(PoisonError::into_inner));
        let credential = known(&register, headers, certificate, unix_seconds())?;
        let (id, role) = (credential.digest.id(), credential.scope.role());
        let Asked::Rpc(rpc) = asked else {
            let admitted = anybody(credential.scope.tenant().cloned());
            return Ok(Admitted { credential: Some(id), ..admitted });
        };
        if !may_call(role, rpc) {
            let rpc = rpc.to_owned();
            return Err(match allowed(&rpc) {
                Some(roles) => Turned::Role { rpc, id, role, roles },
                None => Turned::Closed { rpc },
            });
        }
        let tenant = match (credential.scope.tenant(), named?) {
            (Some(own), Some(named)) if *own != named => {
                return Err(Turned::Foreign { id, own: own.clone(), named });
            }
            (Some(own), _) => own.clone(),
            (None, named) => named.unwrap_or_default(),
        };
        Ok(Admitted { tenant, credential: Some(id) })
    }
}

/// The credential of a request: the token if there is one, the connection's certificate otherwise.
fn known<'a>(
    register: &'a Register,
    headers: &HeaderMap,
    certificate: Option<Digest>,
    now: i64,
) -> Result<&'a Credential, Turned> {
    let credential = match bearer(headers)? {
        Some(digest) => register.find(&digest).ok_or(Turned::Unknown)?,
        // A certificate may be shown for TLS alone.
        None => certificate.and_then(|digest| register.find(&digest)).ok_or(Turned::Nobody)?,
    };
    let id = || credential.digest.id();
    if credential.revoked_unix_seconds.is_some() {
        return Err(Turned::Revoked { id: id() });
    }
    if credential.is_expired(now) {
        return Err(Turned::Expired { id: id() });
    }
    Ok(credential)
}

/// The digest of the token, if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<Digest>, Turned> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = sent.next() else { return Ok(None) };
    let (scheme, token) = value.as_bytes().split_at_checked(7).ok_or(Turned::Nobody)?;
    if sent.next().is_some() || !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Turned::Nobody);
    }
    Ok(Some(Digest::of(token.trim_ascii())))
}

/// The tenant named by `x-sphinx-tenant`, if the request names one.
///
/// # Errors
/// [`ConversionError`] for a name outside the pattern, or for more than one name: which of them an
/// authenticating proxy has checked would be a guess.
fn named(headers: &HeaderMap) -> Result<Option<TenantId>, ConversionError> {
    let mut names = headers.get_all(TenantId::FIELD).iter();
    let Some(name) = names.next() else { return Ok(None) };
    let also = names.count();
    if also > 0 {
        let (field, got) = (TenantId::FIELD, also + 1);
        return Err(ConversionError::Length { field, got, expected: 1 });
    }
    Ok(Some(TenantId::parse(String::from_utf8_lossy(name.as_bytes()))?))
}

fn asked(path: &str) -> Asked<'_> {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.starts_with("grpc.health.v1.Health/") {
        Asked::Health
    } else if name.starts_with("grpc.reflection.") {
        Asked::Other
    } else {
        Asked::Rpc(name)
    }
}

fn or(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ")
}

impl Turned {
    /// Id of the credential that was turned away, if it is known.
    pub(crate) fn credential(&self) -> Option<&str> {
        match self {
            Self::Revoked { id }
            | Self::Expired { id }
            | Self::Foreign { id, .. }
            | Self::Role { id, .. } => Some(id),
            Self::Name(_) | Self::Nobody | Self::Unknown | Self::Closed { .. } => None,
        }
    }
}

impl RpcError for Turned {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Name(error) => error.code(),
            Self::Nobody | Self::Unknown | Self::Revoked { .. } | Self::Expired { .. } => {
                ErrorCode::Unauthenticated
            }
            Self::Foreign { .. } | Self::Role { .. } | Self::Closed { .. } => {
                ErrorCode::PermissionDenied
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn tenant_of(names: &[&'static str]) -> Result<TenantId, Turned> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append("x-sphinx-tenant", HeaderValue::from_static(name));
        }
        let gate = Gate::default();
        gate.admit("/sphinx.v1.Trainer/Train", &headers, None).map(|admitted| admitted.tenant)
    }

    #[test]
    fn without_credentials_the_default_tenant_needs_no_header() {
        assert_eq!(tenant_of(&[]), Ok(TenantId::default()));
        assert_eq!(tenant_of(&["acme"]), Ok(TenantId::parse("acme").unwrap()));
    }

    #[test]
    fn rejects_bad_and_ambiguous_tenants() {
        let name = ConversionError::Name { field: "x-sphinx-tenant", got: "../acme".to_owned() };
        assert_eq!(tenant_of(&["../acme"]), Err(name.into()));
        let count = ConversionError::Length { field: "x-sphinx-tenant", got: 2, expected: 1 };
        assert_eq!(tenant_of(&["acme", "other"]), Err(count.into()));
    }
}
