//! What a supply of tickets has done.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Counters of a [`crate::tickets::TicketSupply`] since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SupplyMetrics {
    /// Tickets prepared and kept.
    pub prepared: u64,
    /// Tickets handed out.
    pub used: u64,
    /// Unused tickets of an earlier version that were repaired for a later one.
    pub repaired: u64,
    /// Unused tickets of an earlier version that were thrown away.
    pub discarded: u64,
    /// Preparations that failed.
    pub failures: u64,
    /// How often somebody had to wait for tickets.
    pub waits: u64,
    /// How long, all waits together.
    pub waited: Duration,
    /// Tickets that can be handed out at once, without the disk.
    pub ready: usize,
    /// Unused tickets, those included, when they were last counted.
    pub left: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub prepared: AtomicU64,
    pub used: AtomicU64,
    pub repaired: AtomicU64,
    pub discarded: AtomicU64,
    pub failures: AtomicU64,
    pub waits: AtomicU64,
    pub waited_nanos: AtomicU64,
    pub stored: AtomicUsize,
}

impl Counters {
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub fn read(&self, ready: usize) -> SupplyMetrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SupplyMetrics {
            prepared: get(&self.prepared),
            used: get(&self.used),
            repaired: get(&self.repaired),
            discarded: get(&self.discarded),
            failures: get(&self.failures),
            waits: get(&self.waits),
            waited: Duration::from_nanos(get(&self.waited_nanos)),
            ready,
            left: ready + self.stored.load(Ordering::Relaxed),
        }
    }
}
