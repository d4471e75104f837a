//! PEM files.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why certificates or keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: TlsProblem,
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The system refuses to read it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// No certificate in it.
    #[error("holds no certificate; expected PEM with BEGIN CERTIFICATE")]
    NoCertificate,
    /// No private key in it.
    #[error("holds no private key; expected PEM with BEGIN PRIVATE KEY")]
    NoKey,
    /// The file is not what it says.
    #[error("is damaged: a section is cut, or not base64")]
    Damaged,
    /// Certificate and key do not belong together, or are of a kind that TLS 1.3 does not take.
    #[error("cannot be used: {0}")]
    Unusable(String),
    /// The system has no certificates of authorities.
    #[error("no authority is known on this system: name the one of the services (--ca FILE)")]
    NoAuthorities,
}

impl TlsError {
    pub(crate) fn new(path: &Path, problem: TlsProblem) -> Self {
        Self { path: path.to_owned(), problem }
    }

    pub(crate) fn unusable(path: &Path, cause: impl ToString) -> Self {
        Self::new(path, TlsProblem::Unusable(cause.to_string()))
    }

    fn pem(path: &Path, error: pem::Error, missing: TlsProblem) -> Self {
        let problem = if let pem::Error::Io(error) = error {
            TlsProblem::Unreadable(error.to_string())
        } else if let pem::Error::NoItemsFound = error {
            missing
        } else {
            // What the error says may quote a key.
            TlsProblem::Damaged
        };
        Self::new(path, problem)
    }
}

/// The certificates of a PEM file, in its order.
///
/// # Errors
/// [`TlsError`] if it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsProblem::NoCertificate;
    let wrong = |error| TlsError::pem(path, error, missing());
    let found = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() { Err(TlsError::new(path, missing())) } else { Ok(found) }
}

/// The first private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| TlsError::pem(path, error, TlsProblem::NoKey))
}

/// The authorities of a PEM file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::unusable(path, error))?;
    }
    Ok(roots)
}
