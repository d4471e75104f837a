//! What a process of Sphinx tells of itself: what it is, logs as structured lines on standard
//! error, and traces for a collector, off unless they are asked for.

mod build;
mod log;
mod start;
mod trace;

pub use build::{COMMIT, FEATURES, version};
pub use log::{FilterError, LogConfig, LogFormat, log_panics, set_filter};
pub use start::{Telemetry, start};
pub use trace::{TraceConfig, TraceError, TraceFault, follow, traceparent};
