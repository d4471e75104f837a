//! What is read when it is asked for: places, queues, caches.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::Semaphore;

/// How a cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheReading {
    /// Questions that were answered from it.
    pub hits: u64,
    /// Questions that were not.
    pub misses: u64,
    /// Bytes it holds.
    pub bytes: u64,
    /// Bytes it may hold.
    pub limit: u64,
}

/// How the compute pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ComputeReading {
    pub(crate) threads: usize,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Everything that is read at a scrape.
#[derive(Default)]
pub(super) struct Readings {
    permits: Mutex<Vec<(&'static str, usize, Arc<Semaphore>)>>,
    caches: Mutex<Vec<(&'static str, Read<CacheReading>)>>,
    compute: Mutex<Option<Read<ComputeReading>>>,
}

impl Readings {
    pub(super) fn permits(&self, name: &'static str, limit: usize, free: &Arc<Semaphore>) {
        lock(&self.permits).push((name, limit, Arc::clone(free)));
    }

    pub(super) fn cache(&self, name: &'static str, read: Read<CacheReading>) {
        lock(&self.caches).push((name, read));
    }

    pub(super) fn compute(&self, read: Read<ComputeReading>) {
        *lock(&self.compute) = Some(read);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A family of gauges or counters, each value with the value of the one label.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, MetricType),
    label: &'static str,
    values: &[(&'static str, u64)],
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (value_of_label, value) in values {
        let labels = [(label, *value_of_label)];
        let one = family.encode_family(&labels)?;
        if matches!(kind, MetricType::Counter) {
            ConstCounter::new(*value).encode(one)?;
        } else {
            ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX)).encode(one)?;
        }
    }
    Ok(())
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauge = MetricType::Gauge;
        let permits = lock(&self.permits);
        let limits: Vec<_> =
            permits.iter().map(|(name, limit, _)| (*name, *limit as u64)).collect();
        let taken: Vec<_> = permits
            .iter()
            .map(|(name, limit, free)| {
                (*name, limit.saturating_sub(free.available_permits()) as u64)
            })
            .collect();
        drop(permits);
        let help = "Permits there are, by what they are for";
        family(&mut encoder, ("permits_limit", help, gauge), "permit", &limits)?;
        let help = "Permits that are taken";
        family(&mut encoder, ("permits_taken", help, gauge), "permit", &taken)?;

        let caches: Vec<_> =
            lock(&self.caches).iter().map(|(name, read)| (*name, read())).collect();
        let of = |field: fn(&CacheReading) -> u64| {
            caches.iter().map(|(name, reading)| (*name, field(reading))).collect::<Vec<_>>()
        };
        let counter = MetricType::Counter;
        let help = "Questions that a cache answered";
        family(&mut encoder, ("cache_hits", help, counter), "cache", &of(|cache| cache.hits))?;
        let help = "Questions that a cache could not answer";
        family(&mut encoder, ("cache_misses", help, counter), "cache", &of(|cache| cache.misses))?;
        let help = "Bytes that a cache holds";
        family(&mut encoder, ("cache_bytes", help, gauge), "cache", &of(|cache| cache.bytes))?;
        let help = "Bytes that a cache may hold besides what is in use";
        family(
            &mut encoder,
            ("cache_limit_bytes", help, gauge),
            "cache",
            &of(|cache| cache.limit),
        )?;

        let compute = lock(&self.compute).as_ref().map(|read| read());
        if let Some(ComputeReading { threads, running, waiting }) = compute {
            let help = "Pieces of work by where they are, and threads for them";
            let values = [
                ("threads", threads as u64),
                ("running", running as u64),
                ("waiting", waiting as u64),
            ];
            family(&mut encoder, ("compute_pieces", help, gauge), "state", &values)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}
