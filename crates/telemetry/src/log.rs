//! Logs: their configuration and their start.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt};

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

    /// Starts logging and says whether it did: a process that logs already goes on as
    /// before, since several services may share one.
    ///
    /// # Errors
    /// [`FilterError`] for a filter that cannot be read.
    pub fn start(&self) -> Result<bool, FilterError> {
        let lines = fmt()
            .with_env_filter(self.parsed()?)
            .with_writer(std::io::stderr)
            // It would say so on standard error, which is what cannot be written, and panic.
            .log_internal_errors(false)
            // Colours are for people; in a file they hide the words.
            .with_ansi(std::io::stderr().is_terminal());
        let started = match self.format {
            LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
            LogFormat::Json => {
                tracing::subscriber::set_global_default(lines.json().with_span_list(false).finish())
            }
        };
        Ok(started.is_ok())
    }

    fn parsed(&self) -> Result<EnvFilter, FilterError> {
        EnvFilter::try_new(&self.filter).map_err(|_| FilterError { got: self.filter.clone() })
    }
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
    fn a_process_starts_its_log_once() {
        assert_eq!(LogConfig::text("warn").start(), Ok(true));
        assert_eq!(LogConfig::text("info").start(), Ok(false));
    }

    #[test]
    fn rejects_a_filter_that_cannot_be_read() {
        let error = FilterError { got: "a=b=c".to_owned() };
        assert_eq!(LogConfig::text("a=b=c").validate(), Err(error.clone()));
        assert_eq!(LogConfig::text("a=b=c").start(), Err(error));
    }
}
