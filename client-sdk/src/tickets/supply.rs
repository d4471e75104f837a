//! Tickets whenever they are needed.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::SLOTS;
use sphinx_tickets::{Place, StoredTicket, TicketStore, TicketStoreError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::error::ClientError;
use crate::recognition::{Prediction, Recogniser, RecognitionError, Ticket};
use crate::tickets::SupplyMetrics;
use crate::tickets::metrics::Counters;
use crate::tickets::worker::Worker;

/// When a supply does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupplyOptions {
    /// With fewer unused tickets than this, the next 2048 are prepared; 0 prepares only when somebody waits.
    pub low_water: usize,
    /// Tickets taken from the store in advance, in one durable commit. At most one and a half times as many are lost
    /// when the process is killed.
    pub lease: usize,
    /// How often the service is asked whether the model has moved on. A supply also asks before every preparation and
    /// when its version is no longer served; zero leaves it at that.
    pub follow: Duration,
}

impl Default for SupplyOptions {
    /// A quarter of a block; 64: a commit per 64 images; 30 s.
    fn default() -> Self {
        Self { low_water: SLOTS / 4, lease: 64, follow: Duration::from_secs(30) }
    }
}

/// Hands out tickets of a model from a store that several processes may share, and prepares more in the background.
///
/// Methods may be called by many tasks at once. A caller that is cancelled while it waits costs no ticket. State
/// changes are logged at `info`.
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::Arc;
/// use sphinx_client::recognition::Recogniser;
/// use sphinx_client::tickets::{SupplyOptions, TicketSupply};
///
/// # async fn example(
/// #     recogniser: Recogniser,
/// #     images: &[Vec<f32>],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let mut rng = rand::rng();
/// let directory = Path::new("tickets/default/digits/mine");
/// let store = recogniser.ticket_store(directory, &Default::default(), &mut rng)?;
/// let supply =
///     TicketSupply::start(recogniser, Arc::new(store), SupplyOptions::default(), &mut rng);
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

/// What callers and worker share.
pub(super) struct Shared {
    pub store: Arc<TicketStore>,
    pub options: SupplyOptions,
    pub counters: Counters,
    state: Mutex<State>,
    /// Held while the model is being switched.
    pub refreshing: tokio::sync::Mutex<()>,
    /// Wakes the worker.
    pub kick: Notify,
    /// Wakes callers that wait.
    pub changed: Notify,
}

pub(super) struct State {
    pub recogniser: Recogniser,
    /// Leased, of the recogniser's version.
    pub ready: VecDeque<StoredTicket>,
    /// Handed out since the last lease.
    pub spent: Vec<Place>,
    /// Most tickets that somebody waits for.
    pub demand: usize,
    /// The last preparation that failed, and how many did.
    pub failure: Option<Arc<ClientError>>,
    pub failures: u64,
    /// Nothing is leased while the model is being switched.
    pub switching: bool,
    pub closed: bool,
}

impl TicketSupply {
    /// Starts the background work on the current tokio runtime: takes a lease and, if need be, prepares tickets. `rng`
    /// has to be a generator for secrets.
    pub fn start(
        recogniser: Recogniser,
        store: Arc<TicketStore>,
        options: SupplyOptions,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let state = State {
            recogniser,
            ready: VecDeque::new(),
            spent: Vec::new(),
            demand: 0,
            failure: None,
            failures: 0,
            switching: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            store,
            options,
            counters: Counters::default(),
            state: Mutex::new(state),
            refreshing: tokio::sync::Mutex::new(()),
            kick: Notify::new(),
            changed: Notify::new(),
        });
        let (closing, closed) = watch::channel(false);
        let worker = Worker::new(Arc::clone(&shared), ChaCha20Rng::from_rng(rng));
        let worker = Mutex::new(Some(tokio::spawn(worker.run(closed))));
        Self { shared, closing, worker }
    }

    /// Recognises an image, waiting for a ticket if none is left, and again with another if the service no longer
    /// keeps the ticket's version.
    ///
    /// # Errors
    /// As [`TicketSupply::ticket`] and [`Recogniser::infer`]. An image of another size costs no ticket.
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

    /// Recognises many images, waiting for their tickets, and again with others if the service no longer keeps their
    /// version.
    ///
    /// # Errors
    /// As [`TicketSupply::tickets`] and [`Recogniser::infer_batch`]. Images of another size cost no ticket.
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

    /// Whether a query failed because its version is gone, and tickets of a newer one are handed out now.
    async fn renews(&self, error: &ClientError, version: u64) -> Result<bool, ClientError> {
        let gone = matches!(
            error,
            ClientError::Refused { code: Code::NotFound, .. }
                | ClientError::Recognition(RecognitionError::VersionMismatch { .. })
        );
        if !gone {
            return Ok(false);
        }
        self.shared.refresh().await?;
        Ok(self.shared.state().recogniser.version() != version)
    }

    /// The next ticket, which the caller must use or lose; waits if none is left.
    ///
    /// # Errors
    /// [`ClientError::Supply`] if the preparation that would have made more failed meanwhile, and
    /// [`RecognitionError::SupplyClosed`].
    pub async fn ticket(&self) -> Result<Ticket, ClientError> {
        let mut tickets = self.tickets(1).await?;
        tickets.pop().ok_or_else(|| RecognitionError::SupplyClosed.into())
    }

    /// As [`TicketSupply::ticket`], several at once: what is not in memory comes from the store in one commit. More
    /// than a block are collected block by block.
    ///
    /// # Errors
    /// As [`TicketSupply::ticket`], and what the store says. Tickets already collected are lost then.
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

    /// Stops preparing, gives unused tickets back to the store and marks the others as used. Callers that wait get an
    /// error. A supply that is dropped does the same in the background, as long as the runtime lives.
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

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves ready tickets to a caller that began when `failures` preparations had failed.
    fn pop(
        &self,
        tickets: &mut Vec<Ticket>,
        count: usize,
        failures: u64,
    ) -> Result<(), ClientError> {
        let mut state = self.state();
        if state.closed {
            return Err(RecognitionError::SupplyClosed.into());
        }
        let before = tickets.len();
        while tickets.len() < count
            && let Some(ticket) = state.ready.pop_front()
        {
            state.spent.push(ticket.place);
            tickets.push(state.recogniser.redeem(ticket));
        }
        Counters::add(&self.counters.used, tickets.len() - before);
        if state.ready.len() < self.options.lease / 2 {
            self.kick.notify_one();
        }
        match &state.failure {
            Some(cause) if tickets.len() < count && state.failures > failures => {
                Err(ClientError::Supply { cause: Arc::clone(cause) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Says that somebody waits for so many tickets.
    fn ask(&self, count: usize) {
        let mut state = self.state();
        state.demand = state.demand.max(count.min(SLOTS));
        self.kick.notify_one();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.state().recogniser.version();
        f.debug_struct("Shared")
            .field("store", &self.store)
            .field("version", &version)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
