//! A memory of things that are dear to make, bounded by the bytes they take.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use crate::metrics::{CacheReading, Metrics};

/// Shared values by key, at most so many bytes of them besides those in use; those used least
/// recently go first. Clones share it.
pub struct ByteCache<K, V> {
    held: Cache<K, Arc<V>>,
    bytes: Arc<dyn Fn(&V) -> usize + Send + Sync>,
    asked: Arc<Asked>,
}

/// How often it had what was asked for, and how often not.
#[derive(Default)]
struct Asked {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<K, V> ByteCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// An empty cache of at most `max_bytes`; `bytes` says how many a value takes.
    pub fn new(max_bytes: u64, bytes: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        let bytes: Arc<dyn Fn(&V) -> usize + Send + Sync> = Arc::new(bytes);
        let weight = Arc::clone(&bytes);
        // Weighed in KiB, since the cache counts in 32 bits.
        let kibibytes = move |_: &K, value: &Arc<V>| {
            u32::try_from(weight(value) / 1024 + 1).unwrap_or(u32::MAX)
        };
        let held = Cache::builder()
            .weigher(kibibytes)
            .max_capacity(max_bytes / 1024)
            // What is new is wanted at once, however often the old was.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { held, bytes, asked: Arc::default() }
    }

    /// Shows how the cache stands under a name.
    #[must_use]
    pub fn watched(self, metrics: &Metrics, name: &'static str) -> Self {
        let cache = self.clone();
        metrics.watch_cache(name, move || CacheReading {
            hits: cache.asked.hits.load(Ordering::Relaxed),
            misses: cache.asked.misses.load(Ordering::Relaxed),
            bytes: cache.held_bytes(),
            limit: cache.held.policy().max_capacity().unwrap_or_default() * 1024,
        });
        self
    }

    /// Bytes of all that is held. Added up, since the cache's own sum comes some calls late.
    fn held_bytes(&self) -> u64 {
        self.held.iter().map(|(_, value)| (self.bytes)(&value) as u64).sum()
    }

    /// What is held under a key.
    pub async fn get(&self, key: &K) -> Option<Arc<V>> {
        let found = self.held.get(key).await;
        if found.is_some() {
            self.asked.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// What is held under a key, or what `make` makes. Those who ask for the same meanwhile wait
    /// for it.
    ///
    /// # Errors
    /// The error of `make`, for all who waited; nothing is held then.
    pub async fn get_or_make<E>(
        &self,
        key: K,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        let mut made = false;
        let make = async {
            made = true;
            self.asked.misses.fetch_add(1, Ordering::Relaxed);
            make.await.map(Arc::new)
        };
        let value = self.held.try_get_with(key, make).await.map_err(Arc::unwrap_or_clone);
        if !made && value.is_ok() {
            self.asked.hits.fetch_add(1, Ordering::Relaxed);
        }
        value
    }

    /// Drops what is held under a key.
    pub async fn forget(&self, key: &K) {
        self.held.invalidate(key).await;
    }

    /// The keys under which something is held, in no order.
    pub fn keys(&self) -> Vec<Arc<K>> {
        self.held.iter().map(|(key, _)| key).collect()
    }

    /// Drops everything whose key fits. Looks at every key, so for caches of few values.
    pub async fn forget_all(&self, fits: impl Fn(&K) -> bool) {
        for key in self.keys().into_iter().filter(|key| fits(key)) {
            self.held.invalidate(key.as_ref()).await;
        }
    }

    /// Drops what is over the limit now, not with some later call.
    pub async fn settle(&self) {
        self.held.run_pending_tasks().await;
    }
}

// Derived, it would ask for values that can be cloned.
impl<K, V> Clone for ByteCache<K, V> {
    fn clone(&self) -> Self {
        let (bytes, asked) = (Arc::clone(&self.bytes), Arc::clone(&self.asked));
        Self { held: self.held.clone(), bytes, asked }
    }
}

impl<K, V> fmt::Debug for ByteCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteCache({} held)", self.held.entry_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn made(cache: &ByteCache<u32, Vec<u8>>, key: u32) -> usize {
        let make = async { Ok::<_, u32>(vec![0; 4096]) };
        cache.get_or_make(key, make).await.unwrap().len()
    }

    #[tokio::test]
    async fn what_was_used_least_recently_goes_first() {
        let cache = ByteCache::new(10 << 10, Vec::len);
        for key in 0..3 {
            assert_eq!(made(&cache, key).await, 4096);
            // Known at once.
            assert!(cache.held_bytes() >= 4096);
            cache.settle().await;
            assert_eq!(cache.held_bytes(), 4096 * u64::from(key + 1).min(2));
        }
        assert!(cache.get(&0).await.is_none());
        assert!(cache.get(&1).await.is_some() && cache.get(&2).await.is_some());
        cache.forget(&2).await;
        assert!(cache.get(&2).await.is_none());
        cache.forget_all(|key| *key == 1).await;
        assert!(cache.get(&1).await.is_none());
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        assert_eq!((counted(&cache.asked.hits), counted(&cache.asked.misses)), (2, 3));
    }

    #[tokio::test]
    async fn a_failure_is_not_held() {
        let cache = ByteCache::<u32, Vec<u8>>::new(1 << 20, Vec::len);
        assert_eq!(cache.get_or_make(7, async { Err(3) }).await, Err(3));
        assert_eq!(made(&cache, 7).await, 4096);
    }
}
