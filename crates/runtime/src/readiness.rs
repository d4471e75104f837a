//! When a service is ready: it has reached once what it cannot serve without.

use std::convert::Infallible;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::service::{Probe, Service};

/// Pause between two looks before the service is ready, and after.
const IMPATIENT: Duration = Duration::from_secs(1);
const PATIENT: Duration = Duration::from_secs(10);

/// Waits until everything that a service needs has answered at one look.
pub(crate) async fn ready<S: Service>(service: &S, metrics: &Metrics) {
    let mut said = None;
    while let Some(faults) = look(service, metrics).await {
        if said.as_ref() != Some(&faults) {
            tracing::warn!(faults, "not ready");
            said = Some(faults);
        }
        tokio::time::sleep(IMPATIENT).await;
    }
}

/// Goes on looking. A service stays ready when what it needs falls silent: all replicas need the
/// same, and taking all of them away would turn a part that fails into a whole.
pub(crate) async fn keep_looking<S: Service>(service: &S, metrics: &Metrics) -> Infallible {
    loop {
        tokio::time::sleep(PATIENT).await;
        look(service, metrics).await;
    }
}

/// What does not answer, if anything.
async fn look<S: Service>(service: &S, metrics: &Metrics) -> Option<String> {
    let probes = service.probe().await;
    for probe in &probes {
        metrics.depends(probe.dependency, probe.fault.is_none());
    }
    let fault = |probe: Probe| Some(format!("{}: {}", probe.dependency, probe.fault?));
    let faults: Vec<_> = probes.into_iter().filter_map(fault).collect();
    (!faults.is_empty()).then(|| faults.join("; "))
}
