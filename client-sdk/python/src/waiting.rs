//! Waiting without holding the interpreter, and without deafness to Ctrl-C.

use std::sync::OnceLock;
use std::time::Duration;

use pyo3::prelude::*;
use sphinx_client::ClientError;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Failure, SphinxError};

/// Between two looks at the signals.
const LOOK: Duration = Duration::from_millis(50);

/// Where everything runs.
pub fn runtime() -> PyResult<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| SphinxError::new_err(error.to_string()))?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// The outcome of some work in the background. Ctrl-C gives the work up.
pub fn wait<T, E>(
    python: Python<'_>,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> PyResult<T>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let runtime = runtime()?;
    let mut task = runtime.spawn(work);
    loop {
        match within(python, runtime, &mut task) {
            Some(Ok(done)) => return done.map_err(|error| error.into().into()),
            Some(Err(error)) => {
                return Err(Failure::from(ClientError::Task { cause: error.to_string() }).into());
            }
            None => python.check_signals().inspect_err(|_| task.abort())?,
        }
    }
}

/// What comes before the next look at the signals, if anything does.
pub fn within<F>(python: Python<'_>, runtime: &Runtime, work: F) -> Option<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    python.detach(|| runtime.block_on(async { tokio::time::timeout(LOOK, work).await.ok() }))
}
