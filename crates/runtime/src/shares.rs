//! Something scarce, shared by tenants: no more of it for one than leaves some to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sphinx_proto::{ErrorCode, RpcError, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A tenant may hold this many units for each that is free. Alone it gets three quarters of all;
/// among others, as many as each of them. Whoever comes new finds one.
const PER_FREE_UNIT: usize = 3;

/// The units of something scarce, counted by tenant: requests, sessions, rows that are held.
#[derive(Debug)]
pub struct Shares {
    what: &'static str,
    free: Arc<Semaphore>,
    limit: usize,
    retry_after: Duration,
    /// Of tenants that hold any.
    held: Mutex<HashMap<TenantId, usize>>,
}

/// Units that a tenant holds, given back on drop.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    tenant: TenantId,
    units: usize,
    _permit: OwnedSemaphorePermit,
}

/// Why a tenant gets no share now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// There are not as many.
    #[error(
        "{what}: {free} of {limit} are free and {got} asked for; retry after {} ms",
        retry_after.as_millis()
    )]
    All {
        /// What is counted.
        what: &'static str,
        /// As many were asked for.
        got: usize,
        /// As many are free.
        free: usize,
        /// As many there are.
        limit: usize,
        /// What whoever asked is to wait.
        retry_after: Duration,
    },
    /// There are, and they are for others.
    #[error(
        "tenant {tenant} has {held} {what} and {free} of {limit} are free, which are for other tenants; retry after \
         {} ms, or when one has ended",
        retry_after.as_millis()
    )]
    Share {
        /// Who asked.
        tenant: TenantId,
        /// What is counted.
        what: &'static str,
        /// As many it has.
        held: usize,
        /// As many are free.
        free: usize,
        /// As many there are.
        limit: usize,
        /// What whoever asked is to wait.
        retry_after: Duration,
    },
}

impl Shares {
    /// `limit` units of `what`, a plural; who gets none is told to wait for `retry_after`.
    pub fn new(what: &'static str, limit: usize, retry_after: Duration) -> Self {
        let free = Arc::new(Semaphore::new(limit));
        Self { what, free, limit, retry_after, held: Mutex::default() }
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Those that nobody holds.
    pub fn free(&self) -> &Arc<Semaphore> {
        &self.free
    }

    /// So many units for a tenant, at once or not at all. Who holds none gets any number that is
    /// free.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn take(self: &Arc<Self>, tenant: &TenantId, units: usize) -> Result<Share, ShareError> {
        let (what, limit, retry_after) = (self.what, self.limit, self.retry_after);
        let mut held = self.lock();
        let own = held.get(tenant).copied().unwrap_or(0);
        let free = self.free.available_permits();
        let permit = u32::try_from(units)
            .ok()
            .and_then(|units| Arc::clone(&self.free).try_acquire_many_owned(units).ok());
        let Some(permit) = permit else {
            return Err(ShareError::All { what, got: units, free, limit, retry_after });
        };
        // What is left then, and one more, since some is always rounded off.
        let left = free.saturating_sub(units) + 1;
        if own > 0 && own + units > PER_FREE_UNIT * left {
            let tenant = tenant.clone();
            return Err(ShareError::Share { tenant, what, held: own, free, limit, retry_after });
        }
        *held.entry(tenant.clone()).or_default() += units;
        Ok(Share { shares: Arc::clone(self), tenant: tenant.clone(), units, _permit: permit })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        if let Some(own) = held.get_mut(&self.tenant) {
            *own -= self.units;
            if *own == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

impl RpcError for ShareError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ResourceExhausted
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::All { retry_after, .. } | Self::Share { retry_after, .. } => Some(*retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(200);

    fn shares(limit: usize) -> Arc<Shares> {
        Arc::new(Shares::new("things", limit, PAUSE))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// As many as it gets, so many units each.
    fn all(shares: &Arc<Shares>, name: &str, units: usize) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(&tenant(name), units).ok()).collect()
    }

    #[test]
    fn one_tenant_leaves_some_to_those_who_come_later_and_all_end_up_alike() {
        let shares = shares(64);
        let mut greedy = all(&shares, "greedy", 1);
        assert_eq!(greedy.len(), 48);
        let full = shares.take(&tenant("greedy"), 1).unwrap_err();
        assert_eq!((full.code(), full.retry_after()), (ErrorCode::ResourceExhausted, Some(PAUSE)));
        assert!(
            full.to_string().contains("tenant greedy has 48 things and 16 of 64 are"),
            "{full}"
        );
        let mut modest = all(&shares, "modest", 1);
        assert_eq!(modest.len(), 12);
        // Whenever one of the greedy ends, both ask for its place.
        for _ in 0..100 {
            greedy.pop();
            greedy.extend(shares.take(&tenant("greedy"), 1));
            modest.extend(shares.take(&tenant("modest"), 1));
        }
        assert!(greedy.len().abs_diff(modest.len()) <= 1, "{} {}", greedy.len(), modest.len());
        assert_eq!(all(&shares, "third", 1).len(), 7);
        drop((greedy, modest));
        assert_eq!(all(&shares, "greedy", 1).len(), 48);
    }

    #[test]
    fn few_are_one_tenant_s_if_nobody_else_asks() {
        for (limit, alone) in [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6)] {
            assert_eq!(all(&shares(limit), "alone", 1).len(), alone, "{limit}");
        }
    }

    #[test]
    fn large_pieces_leave_as_much_and_one_alone_may_take_all() {
        let shares = shares(600);
        let mine = all(&shares, "mine", 90);
        assert_eq!(mine.len(), 5);
        assert_eq!(all(&shares, "yours", 90).len(), 1);
        drop(mine);
        let whole = shares.take(&tenant("mine"), 600).unwrap();
        let none = shares.take(&tenant("yours"), 1).unwrap_err();
        assert_eq!(
            none.to_string(),
            "things: 0 of 600 are free and 1 asked for; retry after 200 ms"
        );
        drop(whole);
        assert!(shares.take(&tenant("mine"), 601).is_err());
        assert!(shares.take(&tenant("mine"), usize::MAX).is_err());
        assert!(shares.lock().is_empty());
    }
}
