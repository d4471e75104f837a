//! What stands between the network and a service: transport security and credentials, both read
//! again when their files change, and the audit log.

mod acceptor;
mod gate;
mod stamp;

use std::convert::Infallible;
use std::time::Duration;

use sphinx_access::RegisterError;
use sphinx_audit::{AuditError, AuditLog};
use sphinx_tls::TlsError;

pub(crate) use acceptor::Acceptor;
pub(crate) use gate::{Admitted, Gate, Turned};

use crate::config::{AccessConfig, AuditConfig, TlsConfig};

/// How often files are looked at: a revoked credential is let in no longer than that.
const LOOK: Duration = Duration::from_secs(1);

/// Why a service cannot be guarded as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Certificates.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// Credentials.
    #[error("access: {0}")]
    Access(#[from] RegisterError),
    /// The audit log.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
}

/// Whom a service lets in, and how it is spoken to. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// `None` in clear text.
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) gate: Gate,
    /// `None` if nothing is recorded.
    pub(crate) audit: Option<AuditLog>,
}

impl Guard {
    /// Reads certificates and credentials, and opens the audit log.
    ///
    /// # Errors
    /// [`GuardError`] for files that cannot be used.
    pub fn open(
        service: &str,
        tls: &TlsConfig,
        access: &AccessConfig,
        audit: &AuditConfig,
    ) -> Result<Self, GuardError> {
        let acceptor = tls.files().map(Acceptor::open).transpose()?;
        let gate = Gate::open(access.file())?;
        let open = |path| AuditLog::open(service, path, audit.sync);
        Ok(Self { acceptor, gate, audit: audit.file().map(open).transpose()? })
    }

    /// Waits until all that has happened is in the audit log.
    pub async fn flush(&self) {
        if let Some(audit) = &self.audit {
            audit.flush().await;
        }
    }

    /// Reads files again when they change. What cannot be read is said in the log, and what was
    /// read before goes on to count.
    pub async fn keep_watching(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            let guard = self.clone();
            // Files may lie on a network that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                guard.acceptor.iter().for_each(Acceptor::look);
                guard.gate.look();
            });
            if looked.await.is_err() {
                // The runtime ends, or the log says what has happened.
                return std::future::pending().await;
            }
        }
    }
}
