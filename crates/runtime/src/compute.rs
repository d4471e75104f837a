//! The bridge from asynchronous code to the cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sphinx_proto::{ErrorCode, RpcError, TenantId};
use tokio::sync::oneshot;
use tracing::Span;

use crate::metrics::{ComputeReading, Metrics, seconds};
use crate::turns::{Turns, Work};

/// A pool of bounded width for everything that computes; asynchronous threads only wait for it.
#[derive(Debug, Clone)]
pub struct Compute {
    pool: Arc<ThreadPool>,
    turns: Arc<Turns>,
    /// Whose work it is given; `None` for the service's own.
    whose: Option<TenantId>,
    /// How long pieces waited for a thread, and how long they then took.
    waited: Histogram,
    took: Histogram,
}

/// Why a computation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The computation panicked; message and place are in the log.
    #[error("a computation panicked; see the log")]
    Panicked,
    /// The threads could not be started.
    #[error("cannot start {threads} compute threads (0: one per core)")]
    NoThreads {
        /// The number asked for.
        threads: usize,
    },
}

impl Compute {
    /// Starts a pool.
    ///
    /// # Errors
    /// [`ComputeError::NoThreads`] when the system refuses.
    pub fn new(threads: usize) -> Result<Self, ComputeError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|_| ComputeError::NoThreads { threads })?;
        let (waited, took) = (seconds(), seconds());
        Ok(Self { pool: Arc::new(pool), turns: Arc::default(), whose: None, waited, took })
    }

    /// Shows how the pool stands.
    pub(crate) fn watched(self, metrics: &Metrics) -> Self {
        let help = "Time that pieces of work waited for a thread";
        metrics.register("compute_wait", help, Unit::Seconds, self.waited.clone());
        let help = "Time that pieces of work took, some of them on several threads";
        metrics.register("compute_piece", help, Unit::Seconds, self.took.clone());
        let (turns, threads) = (Arc::clone(&self.turns), self.width());
        metrics.watch_compute(move || {
            let (running, waiting) = turns.counts();
            ComputeReading { threads, running, waiting }
        });
        self
    }

    /// The same pool for work of a tenant.
    pub fn of(&self, tenant: &TenantId) -> Self {
        Self { whose: Some(tenant.clone()), ..self.clone() }
    }

    /// The number of threads.
    pub fn width(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs a closure on the pool, within the caller's tracing span; parallel iterators in it use
    /// the same pool. Of one tenant first come, first served; between tenants, one piece of each in
    /// turn.
    ///
    /// A caller that goes away before the start takes its work with it; work that has started runs
    /// to its end and its result is dropped.
    ///
    /// # Errors
    /// [`ComputeError::Panicked`]; the pool goes on.
    pub async fn run<T, F>(&self, work: F) -> Result<T, ComputeError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let (span, asked) = (Span::current(), Instant::now());
        let (waited, took) = (self.waited.clone(), self.took.clone());
        let work = Box::new(move || {
            if reply.is_closed() {
                return;
            }
            let begun = Instant::now();
            waited.observe((begun - asked).as_secs_f64());
            // Unwind safety: what the closure owned is lost with it, and nothing else is touched.
            let done = span.in_scope(|| catch_unwind(AssertUnwindSafe(work)));
            took.observe(begun.elapsed().as_secs_f64());
            // The caller may have gone meanwhile.
            let _ = reply.send(done);
        });
        if let Some(work) = self.turns.add(self.whose.as_ref(), work, self.width()) {
            let turns = Arc::clone(&self.turns);
            self.pool.spawn_fifo(move || work_off(work, turns));
        }
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(ComputeError::Panicked),
        }
    }
}

/// Does a piece of work, and sees to it that the next one is done: as a piece of its own, so that a
/// thread that took it while it waits for another comes back to that.
fn work_off(work: Work, turns: Arc<Turns>) {
    work();
    if let Some(next) = turns.next() {
        rayon::spawn_fifo(move || work_off(next, turns));
    }
}

impl RpcError for ComputeError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use rayon::prelude::*;

    use super::*;

    #[tokio::test]
    async fn parallel_iterators_stay_in_the_pool() {
        let compute = Compute::new(3).unwrap();
        let widths = compute.run(|| {
            (0..64).into_par_iter().map(|_| rayon::current_num_threads()).collect::<Vec<_>>()
        });
        assert_eq!(widths.await, Ok(vec![3; 64]));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_goes_on() {
        let compute = Compute::new(1).unwrap();
        assert_eq!(compute.run(|| panic!("boom")).await, Err::<(), _>(ComputeError::Panicked));
        assert_eq!(compute.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn tenants_take_turns_however_much_one_of_them_asks_for() {
        let compute = Compute::new(1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(move || gate.recv().is_ok()).await }
        });
        tokio::task::yield_now().await;
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut asked = Vec::new();
        for (name, pieces) in [("greedy", 50), ("modest", 3), ("other", 1)] {
            let compute = compute.of(&TenantId::parse(name).unwrap());
            for number in 0..pieces {
                let (compute, order) = (compute.clone(), Arc::clone(&order));
                let note = move || order.lock().unwrap().push((name, number));
                asked.push(tokio::spawn(async move { compute.run(note).await }));
                tokio::task::yield_now().await;
            }
        }
        go.send(()).unwrap();
        assert_eq!(busy.await.unwrap(), Ok(true));
        for piece in asked {
            piece.await.unwrap().unwrap();
        }
        let order = order.lock().unwrap();
        let expected = [
            ("greedy", 0),
            ("modest", 0),
            ("other", 0),
            ("greedy", 1),
            ("modest", 1),
            ("greedy", 2),
            ("modest", 2),
            ("greedy", 3),
        ];
        assert_eq!(order.get(..8).unwrap(), expected);
        assert_eq!(order.len(), 54);
    }

    #[tokio::test]
    async fn the_work_of_a_caller_that_left_is_not_started() {
        let compute = Compute::new(1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(move || gate.recv().is_ok()).await }
        });
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let left = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(move || counted.fetch_add(1, Ordering::SeqCst)).await }
        });
        tokio::task::yield_now().await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        assert_eq!(busy.await.unwrap(), Ok(true));
        assert_eq!(compute.run(|| ()).await, Ok(()));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }
}
