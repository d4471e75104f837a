//! How services are called: whom to believe, what to show, and what may go in clear text.

use std::path::PathBuf;
use std::sync::Arc;

use sphinx_access::Token;
use sphinx_tls::tokio_rustls::TlsConnector;
use sphinx_tls::{Identity, TlsError, client_config, server_name};
use tonic::transport::{Channel, Endpoint};

use crate::address::Address;
use crate::connector::Connector;

/// How services are called. The default asks the system's authorities, shows nothing and speaks
/// clear text to this machine alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// PEM file of the authorities that may vouch for a service; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate to show to services that ask for one.
    pub identity: Option<Identity>,
    /// Who calls. It is sent by TLS or to this machine, and never otherwise.
    pub token: Option<Token>,
    /// Whether `http` may go to other machines, where everybody on the way can read and change it.
    pub insecure_cleartext: bool,
}

/// Why a service cannot be called in a safe way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// Clear text to another machine.
    #[error(
        "{address} would be spoken to in clear text: use https, or allow it with --insecure-cleartext \
         (insecure_cleartext = true)"
    )]
    Cleartext {
        /// Where.
        address: Address,
    },
    /// A token in clear text to another machine.
    #[error("a token is never sent in clear text, as it would be to {address}: use https")]
    CleartextToken {
        /// Where.
        address: Address,
    },
    /// A certificate's file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No certificate can be for such a host.
    #[error("no certificate can name the host {host:?}")]
    Host {
        /// The host.
        host: String,
    },
}

impl Security {
    /// Whether a service may be called at `address`.
    ///
    /// # Errors
    /// [`SecurityError::Cleartext`] and [`SecurityError::CleartextToken`].
    pub fn check(&self, address: &Address) -> Result<(), SecurityError> {
        if address.is_encrypted() || address.is_loopback() {
            return Ok(());
        }
        let address = address.clone();
        if !self.insecure_cleartext {
            return Err(SecurityError::Cleartext { address });
        }
        if self.token.is_some() {
            return Err(SecurityError::CleartextToken { address });
        }
        Ok(())
    }

    /// What connects to `address`; certificates are read once, here.
    pub(crate) fn dialler(
        &self,
        address: &Address,
        endpoint: Endpoint,
    ) -> Result<Dialler, SecurityError> {
        self.check(address)?;
        if !address.is_encrypted() {
            return Ok(Dialler { endpoint, tls: None });
        }
        let config = client_config(self.ca.as_deref(), self.identity.as_ref())?;
        let name = server_name(address.bare_host()).map_err(|host| SecurityError::Host { host })?;
        let connector = Connector::new(TlsConnector::from(config), name);
        Ok(Dialler { endpoint, tls: Some(Arc::new(connector)) })
    }
}

/// Makes connections to one service.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    endpoint: Endpoint,
    /// `None` in clear text.
    tls: Option<Arc<Connector>>,
}

impl Dialler {
    /// A channel that connects at its first request, and again whenever the connection breaks.
    pub(crate) fn connect_lazy(&self) -> Channel {
        match &self.tls {
            None => self.endpoint.connect_lazy(),
            Some(tls) => self.endpoint.connect_with_connector_lazy(Connector::clone(tls)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rand_core::UnwrapErr;
    use rand::rngs::SysRng;

    use super::*;

    fn check(address: &str, cleartext: bool, token: bool) -> Result<(), SecurityError> {
        let token = token.then(|| Token::generate(&mut UnwrapErr(SysRng)));
        let insecure_cleartext = cleartext;
        Security { token, insecure_cleartext, ..Security::default() }
            .check(&address.parse().unwrap())
    }

    #[test]
    fn clear_text_stays_on_this_machine_unless_allowed_and_tokens_always() {
        for (cleartext, token) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(check("https://far.example:1", cleartext, token), Ok(()));
            assert_eq!(check("http://localhost:1", cleartext, token), Ok(()));
        }
        let far = "http://far.example:1";
        let address: Address = far.parse().unwrap();
        assert_eq!(check(far, true, false), Ok(()));
        let cleartext = SecurityError::Cleartext { address: address.clone() };
        assert_eq!(check(far, false, false), Err(cleartext.clone()));
        assert_eq!(check(far, false, true), Err(cleartext));
        assert_eq!(check(far, true, true), Err(SecurityError::CleartextToken { address }));
    }
}
