//! Places for RPCs, shared by tenants, and the rates at which each may ask and send.

use std::sync::Arc;
use std::time::Duration;

use sphinx_proto::{ErrorCode, RpcError, TenantId};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::ServerConfig;
use crate::rates::{self, BURST, Rates};
use crate::shares::{Share, ShareError, Shares};

/// What a client that found no place is told to wait.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Bodies wait while their tenant is ahead of its rate of bytes by more than [`BURST`]. When so
/// many wait that another one would wait for longer than this, it is refused.
const WAIT_FOR_BYTES: Duration = Duration::from_secs(1);

/// The places of a service.
#[derive(Debug)]
pub(crate) struct Places {
    shares: Arc<Shares>,
    requests: Option<Rates>,
    bytes: Option<Arc<Rates>>,
}

/// A place, given back on drop.
pub(crate) type Place = Share;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error(transparent)]
    Share(#[from] ShareError),
    #[error(
        "tenant {tenant} asks faster than {limit} times a second; retry after {} ms",
        wait.as_millis()
    )]
    Rate { tenant: TenantId, limit: u64, wait: Duration },
    #[error(
        "tenant {tenant} sends more than {limit} bytes a second; retry after {} ms",
        wait.as_millis()
    )]
    Bytes { tenant: TenantId, limit: u64, wait: Duration },
}

impl Places {
    /// As many as a configuration says.
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let (what, limit) = ("requests under way", config.max_concurrent_requests);
        Self {
            shares: Arc::new(Shares::new(what, limit, RETRY_AFTER)),
            requests: Rates::new(config.max_requests_per_second_of_tenant.into()),
            bytes: Rates::new(config.max_bytes_per_second_of_tenant).map(Arc::new),
        }
    }

    /// How many there are.
    pub(crate) fn limit(&self) -> usize {
        self.shares.limit()
    }

    /// Those that nobody holds.
    pub(crate) fn free(&self) -> &Arc<Semaphore> {
        self.shares.free()
    }

    /// What bodies of requests count in, if they do.
    pub(crate) fn bytes(&self) -> Option<&Arc<Rates>> {
        self.bytes.as_ref()
    }

    /// Waits until no place is taken, and takes all of them for good.
    pub(crate) async fn all_ended(&self) {
        let all = u32::try_from(self.limit()).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(places) = Arc::clone(self.free()).acquire_many_owned(all).await {
            places.forget();
        }
    }

    /// A place for a tenant, or why there is none.
    pub(crate) fn take(&self, tenant: &TenantId, now: Instant) -> Result<Place, Full> {
        if let Some(rates) = &self.requests {
            let lead = rates.lead(tenant, now);
            if lead > BURST {
                let (tenant, limit) = (tenant.clone(), rates.per_second());
                return Err(Full::Rate { tenant, limit, wait: rates::wait(lead) });
            }
        }
        if let Some(rates) = &self.bytes {
            let lead = rates.lead(tenant, now);
            if lead > BURST + WAIT_FOR_BYTES {
                let (tenant, limit) = (tenant.clone(), rates.per_second());
                return Err(Full::Bytes { tenant, limit, wait: rates::wait(lead) });
            }
        }
        let place = self.shares.take(tenant, 1)?;
        if let Some(rates) = &self.requests {
            rates.count(tenant, 1, now);
        }
        Ok(place)
    }
}

impl RpcError for Full {
    fn code(&self) -> ErrorCode {
        ErrorCode::ResourceExhausted
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Share(error) => error.retry_after(),
            Self::Rate { wait, .. } | Self::Bytes { wait, .. } => Some(*wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(change: impl FnOnce(&mut ServerConfig)) -> Places {
        let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        change(&mut config);
        Places::new(&config)
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn a_tenant_s_rate_is_its_own_and_says_how_long_to_wait() {
        let places = places(|config| config.max_requests_per_second_of_tenant = 10);
        let start = Instant::now();
        let once = |name: &str, after| places.take(&tenant(name), start + after).map(drop);
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
    fn a_tenant_whose_bytes_wait_for_more_than_a_second_is_refused_until_they_do_not() {
        let places = places(|config| config.max_bytes_per_second_of_tenant = 1 << 20);
        let start = Instant::now();
        let once = |name: &str, after| places.take(&tenant(name), start + after).map(drop);
        let bytes = places.bytes().unwrap();
        bytes.count(&tenant("fast"), 2 << 20, start);
        assert_eq!(once("fast", Duration::ZERO), Ok(()));
        bytes.count(&tenant("fast"), 1 << 20, start);
        let refused = once("fast", Duration::ZERO).unwrap_err();
        assert!(refused.to_string().contains("more than 1048576 bytes a second"), "{refused}");
        let wait = Duration::from_millis(2001);
        assert_eq!(
            (refused.code(), refused.retry_after()),
            (ErrorCode::ResourceExhausted, Some(wait))
        );
        assert_eq!(once("other", Duration::ZERO), Ok(()));
        assert_eq!(once("fast", wait), Ok(()));
    }
}
