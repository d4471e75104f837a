//! What whoever runs a service sees of it: the table `[metrics]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// Measures, for Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// `IP:PORT` of the page `/metrics`; empty for none. It is read in clear text by whoever
    /// reaches it.
    pub listen: String,
    /// Whether steps are counted by model too, under a label that is a hash: whoever reads the page
    /// then sees how many models there are and when each is trained.
    pub per_model: bool,
    /// Whether other machines may read the page.
    pub insecure_cleartext: bool,
}

impl MetricsConfig {
    /// Where the page is; `None` for nowhere.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a text that is no address, or one that other machines reach
    /// unless that is allowed.
    pub fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let wrong = |expected| ConfigError::value("metrics.listen", &self.listen, expected);
        let expected = "IP:PORT, or nothing for no metrics";
        let address: SocketAddr = self.listen.parse().map_err(|_| wrong(expected))?;
        if address.ip().is_loopback() || self.insecure_cleartext {
            return Ok(Some(address));
        }
        Err(wrong("an address of this machine, or metrics.insecure_cleartext = true"))
    }
}
