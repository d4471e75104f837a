//! Where a service is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tonic::transport::{Endpoint, Uri};

/// Port on which the trainer listens unless it is told another.
pub const TRAINER_PORT: u16 = 7001;
/// Port on which the inference service listens unless it is told another.
pub const INFERENCE_PORT: u16 = 7002;
/// Port on which the key vault listens unless it is told another.
pub const KEY_VAULT_PORT: u16 = 7003;

/// The checked address of a service: `http://HOST:PORT`, an IPv6 host in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// How the service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    /// Also of an address that names no scheme.
    Http,
    /// Accepted for gateways; a connection fails until this client speaks TLS.
    Https,
}

/// A text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {got:?} is not http://HOST:PORT")]
pub struct AddressError {
    /// The text.
    pub got: String,
}

impl Address {
    /// A service on this machine.
    pub fn local(port: u16) -> Self {
        Self { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port }
    }

    /// Name or IP address of the machine, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where on the machine the service listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What every client of the house connects by; no connection is made yet. Small messages
    /// (rounds of recognition) are sent without waiting for an acknowledgement.
    pub(crate) fn endpoint(&self, connect_timeout: Duration) -> Result<Endpoint, AddressError> {
        let text = self.to_string();
        let endpoint = Endpoint::from_shared(text.clone());
        let endpoint = endpoint.map_err(|_| AddressError { got: text })?;
        Ok(endpoint.connect_timeout(connect_timeout).tcp_nodelay(true))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads a URL. Without a scheme it is `http`, without a port that of the scheme; a path is
    /// left out.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError { got: text.to_owned() };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = match uri.scheme_str() {
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
        let port = uri.port_u16().unwrap_or(match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        });
        Ok(Self { scheme, host, port })
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Self { scheme: Scheme::Http, host, port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls_and_fills_in_what_they_leave_out() {
        for (text, expected) in [
            ("http://127.0.0.1:7001", "http://127.0.0.1:7001"),
            ("http://127.0.0.1:7001/", "http://127.0.0.1:7001"),
            ("http://[::1]:7001", "http://[::1]:7001"),
            ("http://keyvault", "http://keyvault:80"),
            ("HTTP://keyvault:7003", "http://keyvault:7003"),
            ("keyvault:7003", "http://keyvault:7003"),
            ("https://sphinx.example", "https://sphinx.example:443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(expected.parse(), Ok(address.clone()));
            address.endpoint(Duration::from_secs(1)).unwrap();
        }
    }

    #[test]
    fn a_socket_has_an_address() {
        for socket in ["127.0.0.1:7002", "[::1]:7002"] {
            let address = Address::from(socket.parse::<SocketAddr>().unwrap());
            assert_eq!(address.to_string(), format!("http://{socket}"));
        }
        assert_eq!(Address::local(TRAINER_PORT).to_string(), "http://127.0.0.1:7001");
    }

    #[test]
    fn rejects_what_is_not_an_address() {
        for text in ["", "not a url", "/path", "*", "ftp://host:1", "file:///tmp", "http://:80"] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error, AddressError { got: text.to_owned() });
        }
    }
}
