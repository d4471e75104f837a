//! Where a service is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use tonic::transport::Endpoint;

/// Port on which the trainer listens unless it is told another.
pub const TRAINER_PORT: u16 = 7001;
/// Port on which the inference service listens unless it is told another.
pub const INFERENCE_PORT: u16 = 7002;
/// Port on which the key vault listens unless it is told another.
pub const KEY_VAULT_PORT: u16 = 7003;

/// The checked address of a service: `http://HOST:PORT` or `https://HOST:PORT`, an IPv6 host in
/// brackets. What is `https` is spoken to by TLS or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// How the service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// In clear text.
    Http,
    /// By TLS.
    Https,
}

/// A text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {got:?}: {fault}; expected http://HOST:PORT or https://HOST:PORT")]
pub struct AddressError {
    /// The text; what stands before an `@` is left out, since it may be a password.
    pub got: String,
    /// What is wrong with it.
    pub fault: AddressFault,
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// `host:port` alone.
    #[error("it names no scheme")]
    NoScheme,
    /// Neither `http` nor `https`.
    #[error("the scheme {0:?} is unknown here")]
    Scheme(String),
    /// A user or a password.
    #[error("a user's name does not belong into it")]
    UserInfo,
    /// A path, a query or a fragment.
    #[error("a path does not belong into it")]
    Path,
    /// No host, or one that no host can be called.
    #[error("its host is missing or malformed")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
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

    /// Whether the machine is this one, by its address or by the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        let ip = self.bare_host().parse::<IpAddr>();
        ip.map_or_else(|_| self.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    /// Whether what is sent there is encrypted on its way.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host without brackets.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// What every client of the house connects by; no connection is made yet. Small messages
    /// (rounds of recognition) are sent without waiting for an acknowledgement.
    pub(crate) fn endpoint(&self, connect_timeout: Duration) -> Result<Endpoint, AddressError> {
        let text = self.to_string();
        let endpoint = Endpoint::from_shared(text.clone());
        let fault = AddressFault::Host;
        let endpoint = endpoint.map_err(|_| AddressError { got: text, fault })?;
        Ok(endpoint.connect_timeout(connect_timeout).tcp_nodelay(true))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads a URL. Without a port it is that of the scheme, 80 or 443; one slash may end it.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        read(text).map_err(|fault| AddressError { got: without_user(text), fault })
    }
}

fn read(text: &str) -> Result<Address, AddressFault> {
    let (scheme, rest) = text.split_once("://").ok_or(AddressFault::NoScheme)?;
    let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        other => return Err(AddressFault::Scheme(other.to_owned())),
    };
    let place = rest.strip_suffix('/').unwrap_or(rest);
    if place.contains('@') {
        return Err(AddressFault::UserInfo);
    }
    if place.contains(['/', '?', '#', '\\']) {
        return Err(AddressFault::Path);
    }
    let host_ends = match place.starts_with('[') {
        true => place.find(']').map_or(place.len(), |last| last + 1),
        false => place.find(':').unwrap_or(place.len()),
    };
    let (host, port) = place.split_at_checked(host_ends).ok_or(AddressFault::Host)?;
    if !is_host(host) {
        return Err(AddressFault::Host);
    }
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse::<NonZeroU16>().map_err(|_| AddressFault::Port)?.get()
        }
        None if port.is_empty() => default_port,
        Some(_) | None => return Err(AddressFault::Port),
    };
    Ok(Address { scheme, host: host.to_owned(), port })
}

/// Whether a machine can be called so: an IPv6 address in brackets, or letters, digits and
/// `.`, `-`, `_`.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        None => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(plain)
        }
    }
}

fn without_user(text: &str) -> String {
    let after = text.rsplit_once('@').map(|(_, after)| after);
    after.map_or_else(|| text.to_owned(), |after| format!("…@{after}"))
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
            ("HTTP://key_vault-1.example:7003", "http://key_vault-1.example:7003"),
            ("https://sphinx.example", "https://sphinx.example:443"),
            ("https://[::1]", "https://[::1]:443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(expected.parse(), Ok(address.clone()));
            address.endpoint(Duration::from_secs(1)).unwrap();
        }
    }

    #[test]
    fn this_machine_is_known_by_address_and_by_name() {
        let is_loopback =
            |host: &str| format!("http://{host}:1").parse::<Address>().unwrap().is_loopback();
        for host in ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "[::2]", "localhost.example", "127.0.0.1.example", "keyvault"] {
            assert!(!is_loopback(host), "{host}");
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
    fn rejects_what_is_not_an_address_with_what_is_wrong() {
        use AddressFault as Fault;
        for (text, fault) in [
            ("", Fault::NoScheme),
            ("not a url", Fault::NoScheme),
            ("/path", Fault::NoScheme),
            ("keyvault:7003", Fault::NoScheme),
            ("127.0.0.1:7003", Fault::NoScheme),
            ("grpc://127.0.0.1:7003", Fault::Scheme("grpc".to_owned())),
            ("file:///tmp", Fault::Scheme("file".to_owned())),
            ("://host:1", Fault::Scheme(String::new())),
            ("http://host:1/path", Fault::Path),
            ("http://host:1//", Fault::Path),
            ("http://host:1?query", Fault::Path),
            ("http://host:1#part", Fault::Path),
            ("http://", Fault::Host),
            ("http://:80", Fault::Host),
            ("http://a host:80", Fault::Host),
            ("http://[::1:80", Fault::Host),
            ("http://[host]:80", Fault::Host),
            ("http://::1:80", Fault::Host),
            ("http://host:0", Fault::Port),
            ("http://host:", Fault::Port),
            ("http://host:+80", Fault::Port),
            ("http://host:65536", Fault::Port),
            ("http://host:80:80", Fault::Port),
            ("http://[::1]80", Fault::Port),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error, AddressError { got: text.to_owned(), fault }, "{text}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn rejects_passwords_without_repeating_them() {
        let error = "https://me:secret@host:443".parse::<Address>().unwrap_err();
        assert_eq!(error.fault, AddressFault::UserInfo);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
