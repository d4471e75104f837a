//! What the three services share: configuration, start and drain, the layers every request passes
//! and who makes it, the compute pool, a cache.
//!
//! A service is a [`Service`]: it opens what it needs and has routes. [`run`] serves it on a
//! listener; [`launch`] is everything around that (configuration, logs, runtime, signals, exit
//! code).
#![deny(clippy::indexing_slicing)]

mod admission;
mod args;
mod audit;
mod body;
mod cache;
mod clock;
mod compute;
mod config;
mod connections;
mod guard;
mod health;
mod home;
mod identity;
mod info;
mod launch;
mod layers;
mod metrics;
mod places;
mod rates;
mod readiness;
mod record;
mod reply;
mod rescue;
mod run;
mod serve;
mod service;
mod shares;
mod turns;
mod watched;

pub use args::{ServiceArgs, parse_args};
pub use audit::Object;
pub use cache::ByteCache;
pub use clock::unix_seconds;
pub use compute::{Compute, ComputeError};
pub use config::{
    AccessConfig, AuditConfig, Config, ConfigError, Limits, MetricsConfig, OutgoingConfig,
    ServerConfig, TlsConfig,
};
pub use guard::{Guard, GuardError};
pub use home::expand_home;
pub use identity::Principal;
pub use info::ServiceInfo;
pub use launch::{launch, main};
pub use metrics::{CacheReading, Metrics, Work, WorkMeter};
pub use run::{RunError, run};
pub use serve::{ServeError, Served, serve};
pub use service::{OpenError, Probe, Service};
pub use shares::{Share, ShareError, Shares};
/// Makes a span go on with the trace that a message carries.
pub use sphinx_telemetry::follow;
/// Cancelled when the service is to drain; long-lived streams watch it to end by themselves.
pub use tokio_util::sync::CancellationToken;
