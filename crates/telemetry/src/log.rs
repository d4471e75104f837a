//! Logs: their configuration and their start.

use std::io::IsTerminal;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// A layer of the process's one subscriber.
pub(crate) type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// What the filter of the running log is changed by.
static RUNNING: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs, written to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Form of a line.
    pub format: LogFormat,
    /// Which lines are written, for example `info,sphinx_trainer=debug`.
    pub filter: String,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log filter {got:?}: expected directives like info,sphinx_client=debug")]
pub struct FilterError {
    /// As configured.
    pub got: String,
}

impl LogConfig {
    /// Lines for people that pass `filter`.
    pub fn text(filter: impl Into<String>) -> Self {
        Self { format: LogFormat::Text, filter: filter.into() }
    }

    /// Checks the filter.
    ///
    /// # Errors
    /// [`FilterError`] for one that cannot be read.
    pub fn validate(&self) -> Result<(), FilterError> {
        self.parsed().map(|_| ())
    }

    /// The layer that writes lines, and what its filter is changed by.
    ///
    /// # Errors
    /// [`FilterError`] for a filter that cannot be read.
    pub(crate) fn layer(&self) -> Result<(Lines, Handle<EnvFilter, Registry>), FilterError> {
        let (filter, handle) = reload::Layer::new(self.parsed()?);
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            // It would say so on standard error, which is what cannot be written, and panic.
            .log_internal_errors(false)
            // Colours are for people; in a file they hide the words.
            .with_ansi(std::io::stderr().is_terminal());
        let lines = match self.format {
            LogFormat::Text => lines.with_filter(filter).boxed(),
            LogFormat::Json => lines.json().with_span_list(false).with_filter(filter).boxed(),
        };
        Ok((lines, handle))
    }

    fn parsed(&self) -> Result<EnvFilter, FilterError> {
        EnvFilter::try_new(&self.filter).map_err(|_| FilterError { got: self.filter.clone() })
    }
}

/// Keeps what the filter of the log that runs is changed by.
pub(crate) fn keep(handle: Handle<EnvFilter, Registry>) {
    // A process has one log, so there is none before.
    let _ = RUNNING.set(handle);
}

/// Changes which lines the running log writes; without a log nothing happens.
///
/// # Errors
/// [`FilterError`] for a filter that cannot be read; the one before stays.
pub fn set_filter(filter: &str) -> Result<(), FilterError> {
    let parsed = LogConfig::text(filter).parsed()?;
    if let Some(handle) = RUNNING.get() {
        handle.reload(parsed).map_err(|_| FilterError { got: filter.to_owned() })?;
    }
    Ok(())
}

/// Writes panics to the log instead of past it. For processes whose log is read by a machine.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, message = panic.payload_as_str(), "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_filter_that_cannot_be_read() {
        let error = FilterError { got: "a=b=c".to_owned() };
        assert_eq!(LogConfig::text("a=b=c").validate(), Err(error.clone()));
        assert_eq!(LogConfig::text("a=b=c").layer().err(), Some(error.clone()));
        assert_eq!(set_filter("a=b=c"), Err(error));
    }
}
