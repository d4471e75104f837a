//! Rates of tenants: how far each is ahead of what it may have in a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sphinx_proto::TenantId;
use tokio::time::Instant;

/// What a tenant may have ahead of its rate.
pub(crate) const BURST: Duration = Duration::from_secs(1);
/// Tenants that are remembered before those are forgotten that are not ahead.
const REMEMBERED: usize = 1024;

/// A bucket that leaks at a rate, for each tenant, in its simplest form: when its next unit would
/// come if it kept to the rate.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: u64,
    due: Mutex<HashMap<TenantId, Instant>>,
}

impl Rates {
    /// So many units in a second for each tenant; `None` if there is no limit.
    pub(crate) fn new(per_second: u64) -> Option<Self> {
        (per_second > 0).then(|| Self { per_second, due: Mutex::default() })
    }

    pub(crate) fn per_second(&self) -> u64 {
        self.per_second
    }

    /// How far a tenant is ahead.
    pub(crate) fn lead(&self, tenant: &TenantId, now: Instant) -> Duration {
        let due = self.lock().get(tenant).copied();
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// Counts units and says how far the tenant is ahead with them.
    pub(crate) fn count(&self, tenant: &TenantId, units: u64, now: Instant) -> Duration {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(self.per_second);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut tenants = self.lock();
        if tenants.len() >= REMEMBERED {
            tenants.retain(|_, due| *due > now);
        }
        let due = tenants.entry(tenant.clone()).or_insert(now);
        *due = (*due).max(now) + time;
        *due - now
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait until a tenant that is so far ahead is no more than [`BURST`] ahead, in whole
/// milliseconds as they are sent: a part of one would be too early.
pub(crate) fn wait(lead: Duration) -> Duration {
    lead.saturating_sub(BURST) + Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn each_tenant_is_ahead_by_what_it_had_and_less_with_time() {
        assert!(Rates::new(0).is_none());
        let rates = Rates::new(1000).unwrap();
        let now = Instant::now();
        let (mine, yours) = (tenant("mine"), tenant("yours"));
        assert_eq!(rates.count(&mine, 1500, now), Duration::from_millis(1500));
        assert_eq!(rates.count(&yours, 1, now), Duration::from_millis(1));
        let later = now + Duration::from_millis(600);
        assert_eq!(rates.lead(&mine, later), Duration::from_millis(900));
        assert_eq!(rates.lead(&yours, later), Duration::ZERO);
        assert_eq!(rates.count(&yours, 1, later), Duration::from_millis(1));
        assert_eq!(wait(rates.lead(&mine, now)), Duration::from_millis(501));
    }

    #[test]
    fn tenants_that_are_not_ahead_are_forgotten() {
        let rates = Rates::new(1000).unwrap();
        let mut now = Instant::now();
        rates.count(&tenant("kept"), 1_000_000, now);
        for number in 0..10 * REMEMBERED {
            rates.count(&tenant(&format!("t{number}")), 1, now);
            now += Duration::from_millis(1);
        }
        let tenants = rates.lock();
        assert!(tenants.len() <= REMEMBERED + 1 && tenants.contains_key(&tenant("kept")));
    }
}
