//! What the callers of a supply and its worker share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sphinx_linalg::SLOTS;
use sphinx_tickets::{Place, StoredTicket, TicketStore};
use tokio::sync::Notify;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::{Recogniser, Ticket};
use crate::tickets::SupplyOptions;
use crate::tickets::metrics::Counters;

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

impl Shared {
    /// The state of a supply that has nothing yet.
    pub fn new(recogniser: Recogniser, store: Arc<TicketStore>, options: SupplyOptions) -> Self {
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
        Self {
            store,
            options,
            counters: Counters::default(),
            state: Mutex::new(state),
            refreshing: tokio::sync::Mutex::new(()),
            kick: Notify::new(),
            changed: Notify::new(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves ready tickets to a caller that began when `failures` preparations had failed.
    pub fn pop(
        &self,
        tickets: &mut Vec<Ticket>,
        count: usize,
        failures: u64,
    ) -> Result<(), ClientError> {
        let mut state = self.state();
        state.recogniser.opener.guard.admit()?;
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
    pub fn ask(&self, count: usize) {
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
