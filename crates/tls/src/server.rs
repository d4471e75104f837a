//! The service's end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;

use crate::client::Identity;
use crate::files::{TlsError, authorities, certificates, private_key};
use crate::{HTTP2, provider};

/// The files of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// What the service shows of itself.
    pub identity: Identity,
    /// Authorities, one of which has to vouch for every client; `None` if clients need no
    /// certificate.
    pub client_ca: Option<PathBuf>,
}

impl ServerFiles {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let Identity { certificate, key } = &self.identity;
        [certificate, key].into_iter().chain(&self.client_ca).map(PathBuf::as_path)
    }
}

/// A configuration of what the files hold now.
///
/// # Errors
/// [`TlsError`] for a file that cannot be used, and for a key that is not the certificate's.
pub fn server_config(files: &ServerFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let ServerFiles { identity: Identity { certificate, key }, client_ca } = files;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::unusable(certificate, error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            let verifier = verifier.map_err(|error| TlsError::unusable(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|error| TlsError::unusable(certificate, error))?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(Arc::new(config))
}
