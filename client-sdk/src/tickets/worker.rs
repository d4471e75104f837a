//! The background half of a supply.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sphinx_linalg::SLOTS;
use sphinx_tickets::{Edition, StoredTicket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::recognition::Repair;
use crate::recognition::offload::offload;
use crate::secure_rng;
use crate::tickets::metrics::Counters;
use crate::tickets::shared::Shared;

/// Least pause after a preparation that failed; the connection has then repeated it for some
/// seconds already. Doubled with every failure as long as nobody waits.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Takes leases and prepares blocks.
pub(super) struct Worker {
    shared: Arc<Shared>,
    preparing: Option<JoinHandle<Result<usize, ClientError>>>,
    /// A look whether the model has moved on,
    following: Option<JoinHandle<Result<Repair, ClientError>>>,
    /// and when the next one is due.
    look: Instant,
    /// No preparation before this if somebody waits,
    soonest: Instant,
    /// and before this if nobody does.
    next: Instant,
    pause: Duration,
    level: Level,
}

/// What is logged when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Enough,
    Low,
    Empty,
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let look = now + shared.options.follow;
        let (soonest, next, pause, level) = (now, now, PAUSE, Level::Enough);
        Self { shared, preparing: None, following: None, look, soonest, next, pause, level }
    }

    pub async fn run(mut self, mut closed: watch::Receiver<bool>) {
        let guard = Arc::clone(&self.shared.state().recogniser.opener.guard);
        loop {
            self.work().await;
            self.follow();
            let (retry, look) = (self.retry(), self.look);
            let looks = self.following.is_none() && !self.shared.options.follow.is_zero();
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                // Said, or the supply is gone.
                _ = closed.wait_for(|closed| *closed) => break,
                () = guard.rejected() => break,
                prepared = finished(self.preparing.as_mut()) => {
                    self.preparing = None;
                    self.prepared(prepared);
                }
                followed = finished(self.following.as_mut()) => {
                    self.following = None;
                    self.followed(followed);
                }
                () = tokio::time::sleep_until(look), if looks => {}
                () = tokio::time::sleep_until(retry), if retry > Instant::now() => {}
                () = shared.kick.notified() => {}
            }
        }
        self.close().await;
    }

    /// When the next preparation may begin.
    fn retry(&self) -> Instant {
        if self.shared.state().demand > 0 { self.soonest } else { self.next }
    }

    /// Leases tickets if few are ready, and starts a preparation if few are left.
    async fn work(&mut self) {
        let lease = self.shared.options.lease.max(1);
        let (edition, spent, want) = {
            let mut state = self.shared.state();
            if state.switching {
                return;
            }
            let short = state.ready.len() <= lease / 2;
            let want = if short { lease } else { 0 };
            // Reported with the next lease, so that it costs no commit of its own.
            let spent = if short { std::mem::take(&mut state.spent) } else { Vec::new() };
            (state.recogniser.edition(), spent, want)
        };
        let store = Arc::clone(&self.shared.store);
        let leased = offload(move || {
            store.spent(spent);
            let leased = if want > 0 { store.lease(&edition, want)? } else { Vec::new() };
            let left = store.unused(&edition)?;
            Ok::<_, ClientError>((edition, leased, left))
        });
        match leased.await.and_then(|leased| leased) {
            Ok((edition, leased, left)) => self.leased(edition, leased, left),
            Err(error) => self.failed(error),
        }
    }

    fn leased(&mut self, edition: Edition, leased: Vec<StoredTicket>, stored: usize) {
        let shared = &self.shared;
        let (ready, demand) = {
            let mut state = self.shared.state();
            if state.switching || state.recogniser.edition() != edition {
                // The model was switched meanwhile: back with them, the next switch will see to
                // them.
                drop(state);
                self.give_back(leased);
                return;
            }
            state.ready.extend(leased);
            let (ready, demand) = (state.ready.len(), state.demand);
            // Under the same lock: who asks from here on is not forgotten.
            if ready + stored >= demand {
                state.demand = 0;
            }
            (ready, demand)
        };
        shared.counters.stored.store(stored, Ordering::Relaxed);
        let left = ready + stored;
        if ready > 0 {
            shared.changed.notify_waiters();
        }
        let low = left < shared.options.low_water.max(demand);
        let level = match (left, low) {
            (0, _) => Level::Empty,
            (_, true) => Level::Low,
            (_, false) => Level::Enough,
        };
        if level != std::mem::replace(&mut self.level, level) {
            let model = shared.store.owner().model.as_str();
            let version = edition.version;
            match level {
                Level::Enough => tracing::info!(model, version, left, "enough tickets"),
                Level::Low => tracing::info!(model, version, left, "tickets run low"),
                Level::Empty => tracing::warn!(model, version, "no tickets left: queries wait"),
            }
        }
        if low && self.preparing.is_none() && self.retry() <= Instant::now() {
            self.prepare();
        }
    }

    fn give_back(&self, leased: Vec<StoredTicket>) {
        let store = Arc::clone(&self.shared.store);
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = store.release(leased) {
                tracing::warn!(%error, "leased tickets are lost");
            }
        }));
    }

    fn prepare(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.preparing = Some(tokio::spawn(async move {
            // No tickets for a version that is no longer the newest.
            if shared.refresh().await?.repaired > 0 {
                return Ok(0);
            }
            let recogniser = shared.state().recogniser.clone();
            let tickets = recogniser.prepare(SLOTS, &mut secure_rng()).await?;
            recogniser.keep(&shared.store, tickets).await
        }));
    }

    fn prepared(&mut self, prepared: Result<usize, ClientError>) {
        match prepared {
            Ok(count) => {
                Counters::add(&self.shared.counters.prepared, count);
                self.shared.state().failure = None;
                self.pause = PAUSE;
                // Those who need many look into the store themselves.
                self.shared.changed.notify_waiters();
                if count > 0 {
                    tracing::info!(count, "tickets prepared");
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// Goes over to a newer version of the model, if it is time to look for one.
    fn follow(&mut self) {
        let every = self.shared.options.follow;
        if every.is_zero() || self.following.is_some() || Instant::now() < self.look {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.following = Some(tokio::spawn(async move { shared.refresh().await }));
    }

    fn followed(&mut self, followed: Result<Repair, ClientError>) {
        self.look = Instant::now() + self.shared.options.follow;
        if let Err(error) = followed {
            // Nobody waits for it: tickets are good as long as their version is served.
            let model = self.shared.store.owner().model.as_str();
            tracing::info!(model, %error, "cannot ask whether the model has moved on");
        }
    }

    /// Tells those who wait, and lets some time pass before the next try.
    fn failed(&mut self, error: ClientError) {
        let model = self.shared.store.owner().model.as_str();
        tracing::warn!(model, %error, "no tickets could be prepared");
        let now = Instant::now();
        (self.soonest, self.next) = (now + PAUSE, now + self.pause);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Counters::add(&self.shared.counters.failures, 1);
        let mut state = self.shared.state();
        state.failure = Some(Arc::new(error));
        state.failures += 1;
        state.demand = 0;
        drop(state);
        self.shared.changed.notify_waiters();
    }

    async fn close(mut self) {
        // Until what they hold is gone.
        if let Some(preparing) = self.preparing.take() {
            preparing.abort();
            let _ = preparing.await;
        }
        if let Some(following) = self.following.take() {
            following.abort();
            let _ = following.await;
        }
        let (ready, spent) = {
            let mut state = self.shared.state();
            state.closed = true;
            if state.recogniser.opener.guard.is_rejected() {
                // Their answers may be wrong, too.
                state.ready.clear();
            }
            (std::mem::take(&mut state.ready), std::mem::take(&mut state.spent))
        };
        self.shared.changed.notify_waiters();
        let store = Arc::clone(&self.shared.store);
        let released = offload(move || {
            store.spent(spent);
            store.release(ready).and_then(|()| store.flush())
        });
        match released.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "leased tickets are lost"),
            Err(error) => tracing::warn!(%error, "leased tickets are lost"),
        }
    }
}

/// Waits for a task, for ever if there is none.
async fn finished<T>(
    task: Option<&mut JoinHandle<Result<T, ClientError>>>,
) -> Result<T, ClientError> {
    match task {
        Some(task) => match task.await {
            Ok(result) => result,
            Err(error) => Err(ClientError::Task { cause: error.to_string() }),
        },
        None => std::future::pending().await,
    }
}
