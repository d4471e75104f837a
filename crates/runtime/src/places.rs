//! Places for RPCs, and no more of them for one tenant than leave some to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sphinx_proto::{ErrorCode, RpcError, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::ServerConfig;

/// What a client that found no place is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// A tenant may hold this many places for each that is free. Alone it gets three quarters of all;
/// among others, as many as each of them. Whoever comes new finds a place.
const PER_FREE_PLACE: usize = 3;
/// What a tenant may have asked ahead of its rate.
const BURST: Duration = Duration::from_secs(1);
/// Tenants that are remembered before those are forgotten that hold nothing.
const REMEMBERED: usize = 1024;

/// The places of a service.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    limit: usize,
    /// Time between two requests of a tenant at its highest rate; zero for no limit.
    interval: Duration,
    tenants: Mutex<HashMap<TenantId, Share>>,
}

/// What a tenant has.
#[derive(Debug)]
struct Share {
    held: usize,
    /// When its next request would come if it kept to its rate.
    due: Instant,
}

/// A place, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    tenant: TenantId,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("all {limit} places are taken; retry after {} ms", RETRY_AFTER.as_millis())]
    All { limit: usize },
    #[error(
        "tenant {tenant} has {held} requests under way and {free} of {limit} places are free, which are for other \
         tenants; retry after {} ms, or when one has ended",
        RETRY_AFTER.as_millis()
    )]
    Share { tenant: TenantId, held: usize, free: usize, limit: usize },
    #[error(
        "tenant {tenant} asks faster than {} times a second; retry after {} ms",
        Duration::from_secs(1).div_duration_f64(*interval).round(),
        wait.as_millis()
    )]
    Rate { tenant: TenantId, interval: Duration, wait: Duration },
}

impl Places {
    /// As many as a configuration says.
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let limit = config.max_concurrent_requests;
        let rate = config.max_requests_per_second_of_tenant;
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
            interval: Duration::from_secs(1).checked_div(rate).unwrap_or_default(),
            tenants: Mutex::default(),
        }
    }

    /// How many there are.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Those that nobody holds.
    pub(crate) fn free(&self) -> &Arc<Semaphore> {
        &self.free
    }

    /// Waits until no place is taken, and takes all of them for good.
    pub(crate) async fn all_ended(&self) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(places) = Arc::clone(&self.free).acquire_many_owned(all).await {
            places.forget();
        }
    }

    /// A place for a tenant, or why there is none.
    pub(crate) fn take(self: &Arc<Self>, tenant: TenantId, now: Instant) -> Result<Place, Full> {
        let mut tenants = self.lock();
        if tenants.len() >= REMEMBERED {
            tenants.retain(|_, share| share.held > 0 || share.due > now);
        }
        let share = tenants.entry(tenant.clone()).or_insert(Share { held: 0, due: now });
        // A bucket that leaks at the rate, in its simplest form: how far ahead of it one is.
        let due = share.due.max(now) + self.interval;
        if due > now + BURST + self.interval {
            // Whole milliseconds are sent: a part of one would be too early.
            let early = due - now - BURST - self.interval;
            let (interval, wait) = (self.interval, early + Duration::from_millis(1));
            return Err(Full::Rate { tenant, interval, wait });
        }
        let (limit, free, held) = (self.limit, self.free.available_permits(), share.held);
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            return Err(Full::All { limit });
        };
        if held >= PER_FREE_PLACE * free.max(1) {
            return Err(Full::Share { tenant, held, free, limit });
        }
        share.held += 1;
        share.due = due;
        Ok(Place { places: Arc::clone(self), tenant, _permit: permit })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Share>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(share) = self.places.lock().get_mut(&self.tenant) {
            share.held -= 1;
        }
    }
}

impl RpcError for Full {
    fn code(&self) -> ErrorCode {
        ErrorCode::ResourceExhausted
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::All { .. } | Self::Share { .. } => Some(RETRY_AFTER),
            Self::Rate { wait, .. } => Some(*wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(places: usize, rate: u32) -> Arc<Places> {
        let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        config.max_concurrent_requests = places;
        config.max_requests_per_second_of_tenant = rate;
        Arc::new(Places::new(&config))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// As many as it gets.
    fn all(places: &Arc<Places>, name: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(tenant(name), Instant::now()).ok()).collect()
    }

    #[test]
    fn one_tenant_leaves_places_to_those_who_come_later_and_all_end_up_alike() {
        let places = places(64, 0);
        let mut greedy = all(&places, "greedy");
        assert_eq!(greedy.len(), 48);
        let full = places.take(tenant("greedy"), Instant::now()).unwrap_err();
        assert_eq!(
            (full.code(), full.retry_after()),
            (ErrorCode::ResourceExhausted, Some(RETRY_AFTER))
        );
        assert!(full.to_string().contains("tenant greedy has 48 requests under way"), "{full}");
        let mut modest = all(&places, "modest");
        assert_eq!(modest.len(), 12);
        // Whenever one of the greedy ends, both ask for its place.
        for _ in 0..100 {
            greedy.pop();
            greedy.extend(places.take(tenant("greedy"), Instant::now()));
            modest.extend(places.take(tenant("modest"), Instant::now()));
        }
        assert!(greedy.len().abs_diff(modest.len()) <= 1, "{} {}", greedy.len(), modest.len());
        assert_eq!(all(&places, "third").len(), 7);
        drop((greedy, modest));
        assert_eq!(all(&places, "greedy").len(), 48);
    }

    #[test]
    fn few_places_are_one_tenant_s_if_nobody_else_asks() {
        for (places, alone) in [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6)] {
            assert_eq!(all(&self::places(places, 0), "alone").len(), alone, "{places}");
        }
    }

    #[test]
    fn a_tenant_s_rate_is_its_own_and_says_how_long_to_wait() {
        let places = places(64, 10);
        let start = Instant::now();
        let once = |name: &str, after| places.take(tenant(name), start + after).map(drop);
        let burst = (0..50).filter(|_| once("fast", Duration::ZERO).is_ok()).count();
        assert_eq!(burst, 11);
        let refused = once("fast", Duration::ZERO).unwrap_err();
        let wait = refused.retry_after().unwrap();
        assert!(wait <= Duration::from_millis(101), "{wait:?}");
        assert!(refused.to_string().contains("faster than 10 times a second"), "{refused}");
        assert_eq!(once("other", Duration::ZERO), Ok(()));
        assert_eq!(once("fast", wait), Ok(()));
        assert!(once("fast", wait).is_err());
    }

    #[test]
    fn tenants_that_hold_nothing_are_forgotten() {
        let places = places(64, 10);
        let mut now = Instant::now();
        let _kept = places.take(tenant("kept"), now).unwrap();
        for number in 0..10 * REMEMBERED {
            places.take(tenant(&format!("t{number}")), now).map(drop).unwrap();
            now += Duration::from_millis(1);
        }
        let tenants = places.lock();
        assert!(tenants.len() <= REMEMBERED + 1 && tenants.contains_key(&tenant("kept")));
    }
}
