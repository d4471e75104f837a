//! The three services on this machine, for notebooks and tests.

use std::path::PathBuf;

use pyo3::prelude::*;
use sphinx_cluster::{ClusterOptions, LocalCluster};

use crate::error::SphinxError;
use crate::waiting::{runtime, within};

/// Running services. They stop when it is closed, dropped, or this process ends.
#[pyclass(name = "NativeCluster", frozen)]
pub struct NativeCluster {
    cluster: std::sync::Mutex<Option<LocalCluster>>,
    addresses: [String; 3],
}

#[pymethods]
impl NativeCluster {
    /// Starts the services by the command `sphinx` at `program`, or the first one in PATH.
    #[new]
    #[pyo3(signature = (program=None))]
    fn new(python: Python<'_>, program: Option<PathBuf>) -> PyResult<Self> {
        let failed = |error: sphinx_cluster::ClusterError| SphinxError::new_err(error.to_string());
        let options = match program {
            Some(program) => ClusterOptions::new(program),
            None => ClusterOptions::find_command().map_err(failed)?,
        };
        let mut start = runtime()?.spawn(LocalCluster::start(options));
        let cluster = loop {
            if let Some(started) = within(python, runtime()?, &mut start) {
                let started = started.map_err(|error| SphinxError::new_err(error.to_string()))?;
                break started.map_err(failed)?;
            }
            python.check_signals().inspect_err(|_| start.abort())?;
        };
        let addresses = [cluster.trainer, cluster.inference, cluster.keyvault];
        let addresses = addresses.map(|address| address.to_string());
        Ok(Self { cluster: std::sync::Mutex::new(Some(cluster)), addresses })
    }

    /// Addresses of trainer, inference and key vault.
    #[getter]
    fn addresses(&self) -> [String; 3] {
        self.addresses.clone()
    }

    /// Stops the services; a second time does nothing.
    fn close(&self, python: Python<'_>) -> PyResult<()> {
        let cluster = self.cluster.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(cluster) = cluster else { return Ok(()) };
        let stopped = python.detach(|| Ok::<_, PyErr>(runtime()?.block_on(cluster.shutdown())))?;
        stopped.map_err(|error| SphinxError::new_err(error.to_string()))
    }
}
