//! The one writer of a log, which requests wait for.

use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::chain::Chain;
use crate::entry::Event;
use crate::error::AuditError;

/// Events that wait for the disk; requests beyond them wait for a place.
const WAITING: usize = 1024;
/// Lines written at once, for one wait of the disk.
const AT_ONCE: usize = 256;

/// A log that is being written. Clones write to the same one; its thread ends with the last of
/// them.
#[derive(Debug, Clone)]
pub struct AuditLog {
    waiting: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    /// `None` waits for those before.
    event: Option<Event>,
    done: Option<oneshot::Sender<Result<(), AuditError>>>,
}

impl AuditLog {
    /// Opens the log of a service, which is made if it is not there. What a crash has cut off is
    /// taken away; the chain goes on, also after the file has been moved away.
    ///
    /// With `sync` a line counts when it is on the disk and outlasts a power cut; without it when
    /// the system has it, and outlasts the end of the process.
    ///
    /// # Errors
    /// [`AuditError`] if nothing can be written there.
    pub fn open(service: &str, path: &Path, sync: bool) -> Result<Self, AuditError> {
        let chain = Chain::open(service, path, sync)?;
        let (waiting, jobs) = mpsc::channel(WAITING);
        let started = thread::Builder::new().name("audit".to_owned());
        started.spawn(move || write(chain, jobs)).map_err(|error| AuditError::File {
            path: path.to_owned(),
            cause: error.to_string(),
        })?;
        Ok(Self { waiting })
    }

    /// Waits until an event is recorded.
    ///
    /// # Errors
    /// [`AuditError`] if it is not; the next one may be.
    pub async fn record(&self, event: Event) -> Result<(), AuditError> {
        self.wait_for(Some(event)).await
    }

    /// Records an event that nobody can wait for. If it cannot be, that is an error in the log of
    /// the service.
    pub fn note(&self, event: Event) {
        if let Err(error) = self.waiting.try_send(Job { event: Some(event), done: None }) {
            tracing::error!(%error, "the audit log cannot keep up: an event is not recorded");
        }
    }

    /// Waits until all that came before is recorded or refused.
    pub async fn flush(&self) {
        // Once the writer has ended nothing is left to wait for.
        let _ = self.wait_for(None).await;
    }

    async fn wait_for(&self, event: Option<Event>) -> Result<(), AuditError> {
        let (done, result) = oneshot::channel();
        let job = Job { event, done: Some(done) };
        self.waiting.send(job).await.map_err(|_| AuditError::Closed)?;
        result.await.map_err(|_| AuditError::Closed)?
    }
}

/// Writes what comes, as much at once as has come.
fn write(mut chain: Chain, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while jobs.blocking_recv_many(&mut batch, AT_ONCE) > 0 {
        let (events, waiters): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|job| (job.event, job.done)).unzip();
        let events: Vec<_> = events.into_iter().flatten().collect();
        let lines = events.len();
        let result = if events.is_empty() { Ok(()) } else { chain.append(events) };
        if let Err(error) = &result {
            tracing::error!(%error, lines, "the audit log cannot be written");
        }
        for done in waiters.into_iter().flatten() {
            // Who does not wait any more has gone.
            let _ = done.send(result.clone());
        }
    }
}
