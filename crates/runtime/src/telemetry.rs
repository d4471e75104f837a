//! Logs: structured lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    config::{ConfigError, LogConfig, LogFormat},
    service::ServiceInfo,
};

/// Starts logging and writes the first line, which says what is running.
///
/// Does nothing when the process logs already: several services may share one.
pub(crate) fn init(service: &ServiceInfo, config: &LogConfig) -> Result<(), ConfigError> {
    let lines = fmt()
        .with_env_filter(filter(config)?)
        .with_writer(std::io::stderr)
        // Colours are for people; in a file they hide the words.
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish()),
        LogFormat::Json => {
            tracing::subscriber::set_global_default(lines.json().with_span_list(false).finish())
        }
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, message = panic.payload_as_str(), "panic");
        }));
    }
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    tracing::info!(service = service.name, version = service.version, profile, "starting");
    Ok(())
}

/// Reads the filter of the configuration.
pub(crate) fn filter(config: &LogConfig) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&config.filter).map_err(|_| {
        ConfigError::value(
            "log.filter",
            &config.filter,
            "directives like info,sphinx_trainer=debug",
        )
    })
}
