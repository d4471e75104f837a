//! The end of everything for a model whose server answered wrongly, shared by all that use it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use sphinx_check::thread_cpu;
use sphinx_proto::{KeyId, ModelId};
use sphinx_tickets::TicketStore;
use tokio::sync::watch;

use crate::error::{ClientError, StateError};
use crate::memory::Memory;
use crate::suspects::Suspect;

/// Whether a model's answers have all been right so far. Shared by a recogniser's clones, its
/// versions and their tickets.
#[derive(Default)]
pub(crate) struct Guard {
    pub memory: Memory,
    /// The first wrong product.
    rejected: OnceLock<StateError>,
    /// Says so to those who wait for it.
    ended: watch::Sender<bool>,
    /// Stores that hold tickets of the model.
    stores: Mutex<Vec<Weak<TicketStore>>>,
    /// Thread-CPU time inside checks, nanoseconds.
    check_nanos: AtomicU64,
    /// The highest version that was opened.
    highest: AtomicU64,
}

impl Guard {
    pub fn new(memory: Memory) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Refuses to go on once a product was wrong.
    pub fn admit(&self) -> Result<(), ClientError> {
        self.rejected.get().map_or(Ok(()), |error| Err(error.clone().into()))
    }

    /// Whether a product was wrong.
    pub fn is_rejected(&self) -> bool {
        self.rejected.get().is_some()
    }

    /// Waits until a product is wrong.
    pub async fn rejected(&self) {
        // The sender lives as long as this.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Remembers a store whose tickets go when a product is wrong.
    pub fn watch(&self, store: &Arc<TicketStore>) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |other: &Weak<TicketStore>| other.as_ptr() == Arc::as_ptr(store);
        if !stores.iter().any(known) {
            stores.push(Arc::downgrade(store));
        }
    }

    /// Takes note of the newest version that the server has; refuses an older one than was seen.
    pub fn see(&self, model: &ModelId, incarnation: &[u8], newest: u64) -> Result<(), ClientError> {
        self.memory.see(model, incarnation, newest)?;
        let seen = self.highest.fetch_max(newest, Ordering::SeqCst);
        if seen > newest {
            let model = model.to_string();
            return Err(StateError::OlderVersion { model, got: newest, seen }.into());
        }
        Ok(())
    }

    /// A product was wrong: nothing is sent any more, the model is marked on the disk, and its
    /// tickets go. Blocks for some milliseconds.
    pub fn reject(
        &self,
        named: (&ModelId, &KeyId, &[u8]),
        version: u64,
        stage: usize,
        phase: &'static str,
    ) -> ClientError {
        let error = self.rejected.get_or_init(|| StateError::WrongProduct {
            model: named.0.to_string(),
            version,
            stage,
            phase,
        });
        if let Err(cause) = self.memory.mark(&Suspect::now(named, version, stage, phase)) {
            tracing::error!(%cause, "a suspect model could not be marked");
        }
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        for store in stores.iter().filter_map(Weak::upgrade) {
            if let Err(cause) = store.discard(|_| true) {
                tracing::error!(%cause, "the tickets of a suspect model could not be deleted");
            }
        }
        tracing::error!(%error, "the service answered wrongly");
        self.ended.send_replace(true);
        error.clone().into()
    }

    /// Does a check and counts the time that it takes of this thread.
    pub fn timed<T>(&self, check: impl FnOnce() -> T) -> T {
        let start = thread_cpu();
        let done = check();
        let nanos = (thread_cpu() - start).as_nanos();
        self.check_nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        done
    }

    /// Thread-CPU time inside checks so far.
    pub fn check_cpu(&self) -> Duration {
        Duration::from_nanos(self.check_nanos.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("rejected", &self.rejected.get()).finish_non_exhaustive()
    }
}
