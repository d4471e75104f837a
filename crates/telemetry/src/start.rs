//! Starting logs and traces of a process.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::log::{self, LogConfig};
use crate::trace::{TraceConfig, TraceError, provider};

/// What was started. Traces that are not sent yet are sent by [`Telemetry::finish`].
#[derive(Debug)]
pub struct Telemetry {
    /// Whether this process logs because of this call.
    pub logs: bool,
    traces: Option<SdkTracerProvider>,
}

/// Starts logging, and tracing if `traces` says where to. A process that logs already goes on as
/// before, since several services may share one. Traces need the context of a runtime.
///
/// # Errors
/// [`TraceError`] for a filter, an address or a share that makes no sense.
pub fn start(
    service: &'static str,
    log: &LogConfig,
    traces: &TraceConfig,
) -> Result<Telemetry, TraceError> {
    let (lines, handle) = log.layer()?;
    let provider = provider(service, traces)?;
    let spans = provider.as_ref().map(|provider| {
        let tracer = provider.tracer("sphinx");
        // Libraries below have spans of their own, many for each message.
        let layer = tracing_opentelemetry::layer().with_location(false).with_threads(false);
        layer.with_tracer(tracer).with_filter(LevelFilter::INFO)
    });
    let subscriber = Registry::default().with(lines).with(spans);
    let logs = tracing::subscriber::set_global_default(subscriber).is_ok();
    if !logs {
        return Ok(Telemetry { logs, traces: None });
    }
    log::keep(handle);
    Ok(Telemetry { logs, traces: provider })
}

impl Telemetry {
    /// Sends what is left. To be called from a thread that may wait, while the runtime still runs.
    pub fn finish(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_starts_its_log_once_and_changes_its_filter_while_it_runs() {
        let start = |filter| start("test", &LogConfig::text(filter), &TraceConfig::default());
        assert_eq!(LevelFilter::current(), LevelFilter::OFF);
        assert!(start("warn").unwrap().logs);
        assert_eq!(LevelFilter::current(), LevelFilter::WARN);
        assert!(!start("info").unwrap().logs);
        crate::set_filter("info,other=trace").unwrap();
        assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
        crate::set_filter("error").unwrap();
        assert_eq!(LevelFilter::current(), LevelFilter::ERROR);
        crate::set_filter("a=b=c").unwrap_err();
        assert_eq!(LevelFilter::current(), LevelFilter::ERROR);
    }
}
