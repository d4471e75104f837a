//! The client's end: a service is believed if an authority vouches for its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::files::{TlsError, TlsProblem, authorities, certificates, private_key};
use crate::pinned::Pinned;
use crate::{HTTP2, provider};

/// What an end shows of itself: a certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain, its own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A configuration that believes whom the authorities in `ca` vouch for, or without it those of
/// the system, and shows `identity` to who asks for it.
///
/// # Errors
/// [`TlsError`] for a file that cannot be used.
pub fn client_config(
    ca: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca {
        Some(path) => authorities(path)?,
        None => system_authorities()?,
    };
    finish(builder()?.with_root_certificates(roots), identity)
}

/// A configuration that believes who holds the key of the first certificate in `certificate`,
/// whatever the name: for a service that is asked from its own machine.
///
/// # Errors
/// [`TlsError`] for a file that cannot be used.
pub fn pinned_client_config(
    certificate: &Path,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let expected = certificates(certificate)?.into_iter().next();
    let expected = expected.ok_or_else(|| TlsError::new(certificate, TlsProblem::NoCertificate))?;
    let verifier = Arc::new(Pinned::new(expected, provider()));
    finish(builder()?.dangerous().with_custom_certificate_verifier(verifier), identity)
}

/// The name that a service's certificate has to hold: a DNS name or an IP address without brackets.
///
/// # Errors
/// The host, if it can be neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| host.to_owned())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::unusable(Path::new("TLS 1.3"), error))
}

fn finish(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| TlsError::unusable(certificate, error))?,
    };
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(Arc::new(config))
}

/// What cannot be read of them is left out, as browsers do; none at all is an error.
fn system_authorities() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::new(Path::new("system"), TlsProblem::NoAuthorities));
    }
    Ok(roots)
}
