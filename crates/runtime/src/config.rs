//! Configuration: defaults < file < environment < flags, checked whole before a port opens.

mod protection;
mod sight;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sphinx_access::TokenError;
use sphinx_channel::{Address, AddressError, KEY_VAULT_PORT, SecurityError};
use sphinx_telemetry::{FilterError, LogConfig, TraceConfig, TraceError, TraceFault};

use crate::args::ServiceArgs;
use crate::info::ServiceInfo;
pub use protection::{AccessConfig, AuditConfig, OutgoingConfig, TlsConfig};
pub use sight::MetricsConfig;

/// More threads than any machine has cores would only hang it.
const MAX_COMPUTE_THREADS: usize = 1024;
/// Most requests, connections or streams at once that can be asked for.
const MAX_PLACES: u64 = 1 << 16;
/// A place that does not depend on where a service is started.
const DEFAULT_STORE: &str = "~/.local/state/sphinx";
/// Below it one message could take longer than a request may.
const BYTES_PER_SECOND: RangeInclusive<u64> = 1 << 20..=1 << 40;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Everything a service can be told; `L` are the service's own limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config<L> {
    /// Listening, and what protects the service from too much.
    pub server: ServerConfig,
    /// How the listener is protected.
    pub tls: TlsConfig,
    /// Who is let in.
    pub access: AccessConfig,
    /// What is recorded of who did what.
    pub audit: AuditConfig,
    /// How the key vault is called.
    pub outgoing: OutgoingConfig,
    /// Directory or URL (`file`, `s3`, `gs`, `az`) of the objects. Replicas of one service share
    /// it. Always an absolute place once it is loaded.
    pub store: String,
    /// Address of the key vault; the key vault itself does not use it.
    pub keyvault: String,
    /// Threads of the compute pool; 0 takes all cores. Without a bound, replicas on one machine
    /// slow each other down by switching.
    pub compute_threads: usize,
    /// Logs.
    pub log: LogConfig,
    /// Measures.
    pub metrics: MetricsConfig,
    /// Traces.
    pub traces: TraceConfig,
    /// The service's own limits.
    pub limits: L,
}

/// Limits of one service, the `[limits]` table.
pub trait Limits: Default + Serialize + DeserializeOwned {
    /// Checks every limit.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first that makes no sense.
    fn validate(&self) -> Result<(), ConfigError>;
}

/// Listening, and what protects the service from too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// RPCs served at once, streams included. More would share the same cores and memory until each
    /// misses its deadline; the surplus is refused at once.
    pub max_concurrent_requests: usize,
    /// Requests of one tenant in a second, with as many at once; 0 for no limit. A tenant holds at
    /// most three places for each that is free, whatever this says.
    pub max_requests_per_second_of_tenant: u32,
    /// Bytes that one tenant sends in a second, all its requests together, with as many at once; 0
    /// for no limit. What comes faster waits at the client; a request that would wait for more than
    /// a second is refused. Without it one tenant's uploads could take all of the network.
    pub max_bytes_per_second_of_tenant: u64,
    /// Connections open at once. Without a bound a client can use up the file descriptors.
    pub max_connections: usize,
    /// Streams of one connection at once; the client holds further ones back. Keeps one connection
    /// from taking every place.
    pub max_streams_per_connection: u32,
    /// Longest wait for the head of a reply, milliseconds. A stuck RPC would hold its place for
    /// ever. Replies that stream have no limit in all: only their head has.
    pub request_timeout_ms: u64,
    /// Longest wait for the next message of a request's stream, or for a client that does not take
    /// the next of a reply's, milliseconds. It would hold its place and what was computed for it
    /// for ever.
    pub idle_timeout_ms: u64,
    /// Longest drain after SIGTERM, milliseconds; what runs then is cut. Without it a stream could
    /// block a roll-out.
    pub drain_deadline_ms: u64,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The file given by `--config` is not there.
    #[error("configuration file {} is not there", .0.display())]
    NoFile(PathBuf),
    /// A layer cannot be read, or a field is unknown or of the wrong type.
    #[error("{0}")]
    Layers(Box<figment::Error>),
    /// A text that is not an address.
    #[error("keyvault: {0}")]
    Address(#[from] AddressError),
    /// The key vault cannot be called in a safe way.
    #[error("keyvault: {0}")]
    Security(#[from] SecurityError),
    /// The token that the key vault is called with cannot be read.
    #[error("outgoing.token_file: {0}")]
    Token(#[from] TokenError),
    /// Traces cannot go where they are to go.
    #[error("traces.endpoint {got:?}: {fault}")]
    Traces {
        /// As configured.
        got: String,
        /// What is wrong with it.
        fault: TraceFault,
    },
    /// A value outside its domain.
    #[error("{field} is {got}: expected {expected}")]
    Value {
        /// Path of the field.
        field: &'static str,
        /// Its value.
        got: String,
        /// The domain.
        expected: &'static str,
    },
}

impl<L: Limits> Config<L> {
    /// The defaults of a service.
    pub fn defaults(service: &ServiceInfo) -> Self {
        Self {
            server: ServerConfig::new(service.default_listen),
            tls: TlsConfig::default(),
            access: AccessConfig::default(),
            audit: AuditConfig::default(),
            outgoing: OutgoingConfig::default(),
            store: DEFAULT_STORE.to_owned(),
            keyvault: Address::local(KEY_VAULT_PORT).to_string(),
            compute_threads: 0,
            log: LogConfig::text("info"),
            metrics: MetricsConfig::default(),
            traces: TraceConfig::default(),
            limits: L::default(),
        }
    }

    /// Puts the layers together and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn load(service: &ServiceInfo, args: &ServiceArgs) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Serialized::defaults(Self::defaults(service)));
        if let Some(path) = &args.config {
            if !path.is_file() {
                return Err(ConfigError::NoFile(path.clone()));
            }
            layers = layers.merge(Toml::file_exact(path));
        }
        let prefix = format!("SPHINX_{}__", service.name.to_uppercase());
        layers = layers
            .merge(Env::prefixed(&prefix).split("__"))
            .merge(flag("server.listen", &args.listen))
            .merge(flag("store", &args.store))
            .merge(flag("keyvault", &args.keyvault))
            .merge(flag("compute_threads", &args.compute_threads))
            .merge(flag("tls.insecure_cleartext", &args.cleartext()))
            .merge(flag("outgoing.insecure_cleartext", &args.cleartext()))
            .merge(flag("metrics.listen", &args.metrics_listen))
            .merge(flag("log.format", &args.log_format))
            .merge(flag("log.filter", &args.log_filter));
        let mut config: Self =
            layers.extract().map_err(|error| ConfigError::Layers(Box::new(error)))?;
        config.expand()?;
        config.validate()?;
        Ok(config)
    }

    /// Paths below `~` become whole, and so does the store's: models are not to be missing because
    /// a service was started elsewhere.
    fn expand(&mut self) -> Result<(), ConfigError> {
        self.tls.expand()?;
        self.access.expand()?;
        self.audit.expand()?;
        self.outgoing.expand()?;
        if self.store.is_empty() || self.store.contains("://") {
            return Ok(());
        }
        let mut store = PathBuf::from(&self.store);
        protection::expand("store", &mut store)?;
        let whole = std::path::absolute(&store).unwrap_or(store);
        if let Ok(store) = whole.into_os_string().into_string() {
            self.store = store;
        }
        Ok(())
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.server.validate()?;
        self.tls.validate(self.server.listen)?;
        self.access.validate(self.server.listen)?;
        self.outgoing.validate()?;
        if self.store.is_empty() {
            return Err(ConfigError::value("store", "empty", "a directory or a URL"));
        }
        self.outgoing.without_token().check(&self.keyvault.parse()?)?;
        if self.compute_threads > MAX_COMPUTE_THREADS {
            let got = self.compute_threads;
            return Err(ConfigError::value("compute_threads", got, "at most 1024"));
        }
        self.log.validate()?;
        self.metrics.address()?;
        self.traces.validate()?;
        self.limits.validate()
    }
}

impl ServerConfig {
    /// The defaults, for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_concurrent_requests: 64,
            max_requests_per_second_of_tenant: 0,
            max_bytes_per_second_of_tenant: 0,
            max_connections: 1024,
            max_streams_per_connection: 16,
            request_timeout_ms: 60_000,
            idle_timeout_ms: 300_000,
            drain_deadline_ms: 20_000,
        }
    }

    /// See [`ServerConfig::request_timeout_ms`].
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// See [`ServerConfig::idle_timeout_ms`].
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// See [`ServerConfig::drain_deadline_ms`].
    pub fn drain_deadline(&self) -> Duration {
        Duration::from_millis(self.drain_deadline_ms)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        // What no machine has, or what nobody would wait for, is a slip of the finger.
        for (field, got, most, expected) in [
            (
                "server.max_concurrent_requests",
                self.max_concurrent_requests as u64,
                MAX_PLACES,
                "1 to 65536",
            ),
            (
                "server.max_requests_per_second_of_tenant",
                u64::from(self.max_requests_per_second_of_tenant).max(1),
                1_000_000,
                "0 to 1000000",
            ),
            ("server.max_connections", self.max_connections as u64, MAX_PLACES, "1 to 65536"),
            (
                "server.max_streams_per_connection",
                self.max_streams_per_connection.into(),
                MAX_PLACES,
                "1 to 65536",
            ),
            ("server.request_timeout_ms", self.request_timeout_ms, DAY_MS, "1 to 86400000 (a day)"),
            ("server.idle_timeout_ms", self.idle_timeout_ms, DAY_MS, "1 to 86400000 (a day)"),
        ] {
            if got == 0 || got > most {
                return Err(ConfigError::value(field, got, expected));
            }
        }
        let bytes = self.max_bytes_per_second_of_tenant;
        if bytes != 0 && !BYTES_PER_SECOND.contains(&bytes) {
            let field = "server.max_bytes_per_second_of_tenant";
            return Err(ConfigError::value(field, bytes, "0, or 1048576 to 1099511627776"));
        }
        if self.drain_deadline_ms > DAY_MS {
            let (field, got) = ("server.drain_deadline_ms", self.drain_deadline_ms);
            return Err(ConfigError::value(field, got, "at most 86400000 (a day)"));
        }
        Ok(())
    }
}

impl ConfigError {
    /// A value outside its domain.
    pub fn value(field: &'static str, got: impl ToString, expected: &'static str) -> Self {
        Self::Value { field, got: got.to_string(), expected }
    }
}

impl From<FilterError> for ConfigError {
    fn from(error: FilterError) -> Self {
        Self::value("log.filter", error.got, "directives like info,sphinx_trainer=debug")
    }
}

impl From<TraceError> for ConfigError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Filter(error) => error.into(),
            TraceError::Ratio { got } => Self::value("traces.ratio", got, "0 to 1"),
            TraceError::Endpoint { got, fault } => Self::Traces { got, fault },
        }
    }
}

/// A layer of one field, or of none.
fn flag<T: Serialize>(field: &str, value: &Option<T>) -> Figment {
    match value {
        Some(value) => Figment::from(Serialized::default(field, value)),
        None => Figment::new(),
    }
}

#[cfg(test)]
mod tests;
