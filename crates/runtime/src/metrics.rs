//! What a service measures of itself, for Prometheus.
//!
//! No label and no value is made of what users choose: the values of labels are words of this
//! program (`&'static str`), by type. The one exception is asked for by the operator: steps by
//! model, under a name that nothing can be read from ([`model::ModelLabel`]).

mod endpoint;
mod layer;
mod model;
mod process;
mod readings;
mod rpc;
mod work;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use tokio::sync::Semaphore;

pub(crate) use endpoint::serve;
pub(crate) use layer::MeterLayer;
pub use readings::CacheReading;
pub(crate) use readings::ComputeReading;
pub use work::{Work, WorkMeter};

use crate::info::ServiceInfo;
use model::ModelSteps;
use process::Process;
use readings::Readings;
use rpc::RpcMeters;
use work::WorkMeters;

/// Bounds in seconds, from a round of recognition to an hour of training.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0,
];

/// One label, of words of this program.
type Word = [(&'static str, &'static str); 1];

/// What a service measures. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    rpcs: RpcMeters,
    work: WorkMeters,
    steps: Counter,
    models: Option<ModelSteps>,
    checks: Family<Word, Counter>,
    dependencies: Family<Word, Gauge>,
    parts: Family<Word, Histogram, fn() -> Histogram>,
    readings: Arc<Readings>,
}

/// A histogram of times.
pub(crate) fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// The measures of a service; `per_model` counts steps by model as well.
    pub fn new(service: &ServiceInfo, per_model: bool) -> Self {
        let mut registry = Registry::with_prefix("sphinx");
        let build = [
            ("version", service.version),
            ("commit", sphinx_telemetry::COMMIT),
            ("features", sphinx_telemetry::FEATURES),
            ("service", service.name),
        ];
        registry.register("build", "What is running", Info::new(build.to_vec()));
        let (rpcs, work) = (RpcMeters::new(&mut registry), WorkMeters::new(&mut registry));
        let steps = Counter::default();
        registry.register("train_steps", "Commits that became a version", steps.clone());
        let models = per_model.then(|| ModelSteps::new(&mut registry));
        let checks = Family::default();
        let help = "What a check found that no honest caller or store makes, by check";
        registry.register("checks_failed", help, checks.clone());
        let dependencies = Family::default();
        let help = "Whether what the service needs answered when it was asked last";
        registry.register("dependency_up", help, dependencies.clone());
        let parts = Family::new_with_constructor(seconds as fn() -> Histogram);
        let help = "Time of a part of a training step at the service, from its first message";
        registry.register_with_unit("train_part", help, Unit::Seconds, parts.clone());
        let readings = Arc::new(Readings::default());
        registry.register_collector(Box::new(Arc::clone(&readings)));
        registry.register_collector(Box::new(Process::new()));
        let registry = Mutex::new(registry);
        Self(Arc::new(Inner {
            registry,
            rpcs,
            work,
            steps,
            models,
            checks,
            dependencies,
            parts,
            readings,
        }))
    }

    /// The meter of a kind of work.
    pub fn work(&self, work: Work) -> WorkMeter {
        self.0.work.of(work)
    }

    /// A commit of the model of this incarnation was stored.
    pub fn stepped(&self, incarnation: &[u8; 16]) {
        self.0.steps.inc();
        if let Some(models) = &self.0.models {
            models.stepped(incarnation);
        }
    }

    /// A check found what no honest caller or store makes.
    pub fn check_failed(&self, check: &'static str) {
        self.0.checks.get_or_create(&[("check", check)]).inc();
    }

    /// A part of a training step took so long at the service.
    pub fn trained(&self, part: &'static str, time: Duration) {
        self.0.parts.get_or_create(&[("part", part)]).observe(time.as_secs_f64());
    }

    /// Shows how many of a bounded number are taken.
    pub fn watch_permits(&self, name: &'static str, limit: usize, free: &Arc<Semaphore>) {
        self.0.readings.permits(name, limit, free);
    }

    /// Shows what a cache holds and how often it had what was asked for.
    pub fn watch_cache(
        &self,
        name: &'static str,
        read: impl Fn() -> CacheReading + Send + Sync + 'static,
    ) {
        self.0.readings.cache(name, Box::new(read));
    }

    pub(crate) fn watch_compute(&self, read: impl Fn() -> ComputeReading + Send + Sync + 'static) {
        self.0.readings.compute(Box::new(read));
    }

    /// Registers a measure that its owner keeps.
    pub(crate) fn register(&self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_with_unit(name, help, unit, metric);
    }

    /// Whether something the service needs answers.
    pub(crate) fn depends(&self, dependency: &'static str, up: bool) {
        self.0.dependencies.get_or_create(&[("dependency", dependency)]).set(i64::from(up));
    }

    /// Everything in OpenMetrics' text form.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
