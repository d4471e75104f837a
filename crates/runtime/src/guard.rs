//! What stands between the network and a service: transport security and credentials, both read
//! again when their files change.

mod acceptor;
mod gate;
mod stamp;

use std::convert::Infallible;
use std::time::Duration;

use sphinx_access::RegisterError;
use sphinx_tls::TlsError;

pub(crate) use acceptor::Acceptor;
pub(crate) use gate::{Admitted, Gate, Turned};

use crate::config::{AccessConfig, TlsConfig};

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
}

/// Whom a service lets in, and how it is spoken to. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// `None` in clear text.
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) gate: Gate,
}

impl Guard {
    /// Reads certificates and credentials.
    ///
    /// # Errors
    /// [`GuardError`] for files that cannot be used.
    pub fn open(tls: &TlsConfig, access: &AccessConfig) -> Result<Self, GuardError> {
        let acceptor = tls.files().map(Acceptor::open).transpose()?;
        Ok(Self { acceptor, gate: Gate::open(access.file())? })
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
