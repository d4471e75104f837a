//! What a process of Sphinx tells of itself: logs, as structured lines on standard error.

mod log;

pub use log::{FilterError, LogConfig, LogFormat, log_panics};
