//! Who may come and how, what is recorded of it, and how the key vault is called: the tables
//! `[tls]`, `[access]`, `[audit]` and `[outgoing]`. An empty path is none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sphinx_access::Token;
use sphinx_channel::Security;
use sphinx_tls::{Identity, ServerFiles};

use crate::config::ConfigError;
use crate::home::expand_home;

/// How the listener is protected. Without a certificate it speaks clear text, which is for
/// loopback unless it is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the service's certificate chain. Read again when it changes.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of the authorities, one of which has to vouch for every client; none to let in
    /// clients without a certificate.
    pub client_ca: PathBuf,
    /// Whether to listen in clear text to other machines. Everybody on the way can then read and
    /// change what is sent, tokens included.
    pub insecure_cleartext: bool,
}

/// Who is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    /// File of credentials, as `sphinx tokens` writes it. Read again when it changes.
    pub credentials: PathBuf,
    /// Whether other machines may call without a credential. Everybody is then whichever tenant he
    /// says.
    pub insecure_anonymous: bool,
}

/// What is recorded of who did what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// File of the audit log, of this service alone. Requests that cannot be recorded there are
    /// refused.
    pub path: PathBuf,
    /// Whether requests wait until their line is on the disk, so that it outlasts a power cut.
    /// Otherwise they wait until the system has it, which outlasts the end of the service.
    pub sync: bool,
}

/// How the key vault is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutgoingConfig {
    /// PEM file of the authorities that may vouch for it; none for those of the system.
    pub ca: PathBuf,
    /// PEM file of the certificate to show.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// File of the token to send, of the role `service`.
    pub token_file: PathBuf,
    /// Whether `http` may go to other machines.
    pub insecure_cleartext: bool,
}

impl TlsConfig {
    /// The files of the listener; `None` in clear text.
    pub fn files(&self) -> Option<ServerFiles> {
        let identity = identity(&self.certificate, &self.key)?;
        Some(ServerFiles { identity, client_ca: given(&self.client_ca).map(Path::to_owned) })
    }

    pub(super) fn validate(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        paired("tls.key", &self.certificate, &self.key)?;
        if given(&self.client_ca).is_some() && given(&self.certificate).is_none() {
            let expected = "the service's certificate, since tls.client_ca asks clients for theirs";
            return Err(ConfigError::value("tls.certificate", "empty", expected));
        }
        if self.files().is_some() || listen.ip().is_loopback() || self.insecure_cleartext {
            return Ok(());
        }
        let expected = "a loopback address, or tls.certificate and tls.key, or clear text allowed by \
                        --insecure-cleartext (tls.insecure_cleartext = true)";
        Err(ConfigError::value("server.listen", listen, expected))
    }

    pub(super) fn expand(&mut self) -> Result<(), ConfigError> {
        expand("tls.certificate", &mut self.certificate)?;
        expand("tls.key", &mut self.key)?;
        expand("tls.client_ca", &mut self.client_ca)
    }
}

impl AccessConfig {
    /// The file of credentials; `None` if everybody is let in.
    pub fn file(&self) -> Option<&Path> {
        given(&self.credentials)
    }

    pub(super) fn validate(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if self.file().is_some() || listen.ip().is_loopback() || self.insecure_anonymous {
            return Ok(());
        }
        let expected = "a file of `sphinx tokens`, since other machines reach server.listen, or \
                        access.insecure_anonymous = true";
        Err(ConfigError::value("access.credentials", "empty", expected))
    }

    pub(super) fn expand(&mut self) -> Result<(), ConfigError> {
        expand("access.credentials", &mut self.credentials)
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { path: PathBuf::new(), sync: true }
    }
}

impl AuditConfig {
    /// The file; `None` if nothing is recorded.
    pub fn file(&self) -> Option<&Path> {
        given(&self.path)
    }

    pub(super) fn expand(&mut self) -> Result<(), ConfigError> {
        expand("audit.path", &mut self.path)
    }
}

impl OutgoingConfig {
    /// What calls are made with. The token's file is read.
    ///
    /// # Errors
    /// [`ConfigError::Token`].
    pub fn security(&self) -> Result<Security, ConfigError> {
        let token = given(&self.token_file).map(Token::load).transpose()?;
        Ok(Security { token, ..self.without_token() })
    }

    pub(super) fn without_token(&self) -> Security {
        Security {
            ca: given(&self.ca).map(Path::to_owned),
            identity: identity(&self.certificate, &self.key),
            token: None,
            insecure_cleartext: self.insecure_cleartext,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        paired("outgoing.key", &self.certificate, &self.key)
    }

    pub(super) fn expand(&mut self) -> Result<(), ConfigError> {
        expand("outgoing.ca", &mut self.ca)?;
        expand("outgoing.certificate", &mut self.certificate)?;
        expand("outgoing.key", &mut self.key)?;
        expand("outgoing.token_file", &mut self.token_file)
    }
}

fn given(path: &Path) -> Option<&Path> {
    Some(path).filter(|path| !path.as_os_str().is_empty())
}

fn identity(certificate: &Path, key: &Path) -> Option<Identity> {
    let (certificate, key) = given(certificate).zip(given(key))?;
    Some(Identity { certificate: certificate.to_owned(), key: key.to_owned() })
}

/// A certificate has a key, and a key a certificate.
fn paired(field: &'static str, certificate: &Path, key: &Path) -> Result<(), ConfigError> {
    if given(certificate).is_some() == given(key).is_some() {
        return Ok(());
    }
    let got = if given(key).is_none() { "empty".to_owned() } else { key.display().to_string() };
    Err(ConfigError::value(field, got, "certificate and key together, or neither"))
}

pub(super) fn expand(field: &'static str, path: &mut PathBuf) -> Result<(), ConfigError> {
    match expand_home(path) {
        Some(expanded) => {
            *path = expanded;
            Ok(())
        }
        None => {
            let expected = "an absolute path, or one below ~/ with HOME set";
            Err(ConfigError::value(field, path.display(), expected))
        }
    }
}
