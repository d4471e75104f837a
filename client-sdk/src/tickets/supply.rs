//! Tickets whenever they are needed.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sphinx_linalg::SLOTS;
use sphinx_tickets::{TicketStore, TicketStoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::{Prediction, Recogniser, Ticket};
use crate::tickets::metrics::Counters;
use crate::tickets::shared::Shared;
use crate::tickets::worker::Worker;
use crate::tickets::{SupplyMetrics, SupplyOptions};

/// Hands out tickets of a model from a store that several processes may share, and prepares more in
/// the background.
///
/// Methods may be called by many tasks at once. A caller that is cancelled while it waits costs no
/// ticket. State changes are logged at `info`.
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::Arc;
/// use sphinx_client::recognition::Recogniser;
/// use sphinx_client::tickets::{STORE_PURPOSE, StoreKey, SupplyOptions, TicketSupply};
/// use sphinx_client::{RootKey, TenantId};
///
/// # async fn example(
/// #     recogniser: Recogniser,
/// #     root: &RootKey,
/// #     images: &[Vec<f32>],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let directory = Path::new("tickets/default/digits/mine");
/// let key = StoreKey::new(root.derive(STORE_PURPOSE));
/// let store = recogniser.ticket_store(directory, &TenantId::default(), &key)?;
/// let supply = TicketSupply::start(recogniser, Arc::new(store), SupplyOptions::default());
/// for image in images {
///     println!("{}", supply.infer(image).await?.class);
/// }
/// println!("{:?}", supply.metrics());
/// supply.close().await
/// # }
/// ```
#[derive(Debug)]
pub struct TicketSupply {
    pub(super) shared: Arc<Shared>,
    /// Ends the worker when it says so or is dropped.
    closing: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl TicketSupply {
    /// Starts the background work on the current tokio runtime: takes a lease and, if need be,
    /// prepares tickets.
    pub fn start(recogniser: Recogniser, store: Arc<TicketStore>, options: SupplyOptions) -> Self {
        recogniser.opener.guard.watch(&store);
        let shared = Arc::new(Shared::new(recogniser, store, options));
        let (closing, closed) = watch::channel(false);
        let worker = Worker::new(Arc::clone(&shared));
        let worker = Mutex::new(Some(tokio::spawn(worker.run(closed))));
        Self { shared, closing, worker }
    }

    /// Recognises an image, waiting for a ticket if none is left, and again with another if the
    /// service no longer keeps the ticket's version.
    ///
    /// # Errors
    /// As [`TicketSupply::ticket`] and [`Recogniser::infer`]. An image of another size costs no
    /// ticket.
    pub async fn infer(&self, image: &[f32]) -> Result<Prediction, ClientError> {
        self.recogniser().check_sizes(&[image])?;
        let ticket = self.ticket().await?;
        let version = ticket.version();
        match self.recogniser().infer(ticket, image).await {
            Err(error) if self.renews(&error, version).await? => {
                let ticket = self.ticket().await?;
                self.recogniser().infer(ticket, image).await
            }
            result => result,
        }
    }

    /// Recognises many images, waiting for their tickets, and again with others if the service no
    /// longer keeps their version.
    ///
    /// # Errors
    /// As [`TicketSupply::tickets`] and [`Recogniser::infer_batch`]. Images of another size cost no
    /// ticket.
    pub async fn infer_batch<I: AsRef<[f32]>>(
        &self,
        images: &[I],
    ) -> Result<Vec<Prediction>, ClientError> {
        self.recogniser().check_sizes(images)?;
        let tickets = self.tickets(images.len()).await?;
        let version = tickets.iter().map(Ticket::version).min().unwrap_or_default();
        match self.recogniser().infer_batch(tickets, images).await {
            Err(error) if self.renews(&error, version).await? => {
                let tickets = self.tickets(images.len()).await?;
                self.recogniser().infer_batch(tickets, images).await
            }
            result => result,
        }
    }

    /// Whether a query failed because its version is gone, and tickets of a newer one are handed
    /// out now.
    async fn renews(&self, error: &ClientError, version: u64) -> Result<bool, ClientError> {
        let gone = error.is_not_found()
            || matches!(error, ClientError::Recognition(RecognitionError::VersionMismatch { .. }));
        if !gone {
            return Ok(false);
        }
        self.shared.refresh().await?;
        Ok(self.shared.state().recogniser.version() != version)
    }

    /// The next ticket, which the caller must use or lose; waits if none is left.
    ///
    /// # Errors
    /// [`ClientError::Supply`] if the preparation that would have made more failed meanwhile,
    /// [`RecognitionError::SupplyClosed`], and [`crate::StateError::WrongProduct`] once an answer
    /// was wrong: the supply is closed and its tickets are deleted then.
    pub async fn ticket(&self) -> Result<Ticket, ClientError> {
        let mut tickets = self.tickets(1).await?;
        tickets.pop().ok_or_else(|| RecognitionError::SupplyClosed.into())
    }

    /// As [`TicketSupply::ticket`], several at once: what is not in memory comes from the store in
    /// one commit. More than a block are collected block by block.
    ///
    /// # Errors
    /// As [`TicketSupply::ticket`], and what the store says. Tickets already collected are lost
    /// then.
    pub async fn tickets(&self, count: usize) -> Result<Vec<Ticket>, ClientError> {
        let mut tickets = Vec::with_capacity(count);
        let (mut waited, failures) = (None, self.shared.state().failures);
        let result = loop {
            // Before looking: what changes from here on wakes this up.
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if let Err(error) = self.shared.pop(&mut tickets, count, failures) {
                break Err(error);
            }
            let missing = count - tickets.len();
            if missing == 0 {
                break Ok(());
            }
            // A lease that is about to come serves small needs.
            if missing > self.shared.options.lease / 2 {
                match self.take(missing.min(SLOTS)).await {
                    Ok(taken) if !taken.is_empty() => {
                        tickets.extend(taken);
                        continue;
                    }
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            }
            self.shared.ask(missing);
            waited.get_or_insert_with(|| {
                self.shared.counters.waits.fetch_add(1, Ordering::Relaxed);
                Instant::now()
            });
            changed.await;
        };
        if let Some(start) = waited {
            let nanos = start.elapsed().as_nanos() as u64;
            self.shared.counters.waited_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
        result.map(|()| tickets)
    }

    /// Takes many tickets from the store; none if it has fewer.
    async fn take(&self, count: usize) -> Result<Vec<Ticket>, ClientError> {
        let recogniser = {
            let state = self.shared.state();
            if state.switching {
                return Ok(Vec::new());
            }
            state.recogniser.clone()
        };
        match recogniser.take_stored(&self.shared.store, count).await {
            Ok(tickets) => {
                Counters::add(&self.shared.counters.used, tickets.len());
                // They came out of the store behind the worker's back.
                self.shared.kick.notify_one();
                Ok(tickets)
            }
            Err(ClientError::TicketStore(TicketStoreError::Exhausted { .. })) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The recogniser that the tickets are for.
    pub fn recogniser(&self) -> Recogniser {
        self.shared.state().recogniser.clone()
    }

    /// What happened so far.
    pub fn metrics(&self) -> SupplyMetrics {
        let ready = self.shared.state().ready.len();
        self.shared.counters.read(ready)
    }

    /// Stops preparing, gives unused tickets back to the store and marks the others as used.
    /// Callers that wait get an error. A supply that is dropped does the same in the background, as
    /// long as the runtime lives.
    ///
    /// # Errors
    /// [`ClientError::Task`] if the background task panicked.
    pub async fn close(&self) -> Result<(), ClientError> {
        self.closing.send_replace(true);
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        match worker {
            Some(worker) => {
                worker.await.map_err(|error| ClientError::Task { cause: error.to_string() })
            }
            None => Ok(()),
        }
    }
}
