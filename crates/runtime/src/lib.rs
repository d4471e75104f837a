//! What the three services share: configuration, the layers every request passes, serving and
//! draining, the compute pool, the tenant of a request and the key check.
//!
//! A service is a function `run(config, listener, shutdown)` that builds its routes and hands them to
//! [`serve`]; [`launch`] is everything around it (arguments, configuration, logs, runtime, signals,
//! exit code).
#![deny(clippy::indexing_slicing)]

mod admission;
mod args;
mod body;
mod compute;
mod config;
mod connections;
mod health;
mod keys;
mod launch;
mod layers;
mod rescue;
mod serve;
mod service;
mod telemetry;
mod tenant;

pub use args::{ServiceArgs, parse_args};
pub use compute::{Compute, ComputeError};
pub use config::{Config, ConfigError, Limits, LogConfig, LogFormat, ServerConfig};
pub use keys::{KeyDirectory, KeyError};
pub use launch::launch;
pub use serve::{ServeError, serve};
pub use service::ServiceInfo;
pub use tenant::tenant;
/// Cancelled when the service is to drain; long-lived streams watch it to end by themselves.
pub use tokio_util::sync::CancellationToken;
