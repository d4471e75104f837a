//! Which versions of a model stay.

use std::num::NonZeroU64;

/// Versions kept of every model: the newest, and of the older ones those that training sessions
/// began at.
///
/// The newest are there for readers who are at work with one while training goes on. What a session
/// began at is what was used until then: tickets of recognition prepared for it can be repaired as
/// long as it is kept, however many commits the session makes. How many of these stay is looked at
/// whenever one of them leaves the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Newest versions.
    pub newest: NonZeroU64,
    /// Older versions at which a session began, the latest of them.
    pub beginnings: u64,
}

/// What is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Surplus {
    pub versions: Vec<u64>,
    /// Marks of versions.
    pub beginnings: Vec<u64>,
}

impl Default for Retention {
    /// Eight of both.
    fn default() -> Self {
        const EIGHT: NonZeroU64 = NonZeroU64::new(8).unwrap();
        Self { newest: EIGHT, beginnings: EIGHT.get() }
    }
}

impl Retention {
    /// The oldest of the newest versions, when the newest is `head`.
    pub(crate) fn oldest(&self, head: u64) -> u64 {
        (head + 1).saturating_sub(self.newest.get())
    }

    /// Of the versions there are, and of those that sessions began at (both ascending), the ones
    /// that are not to be kept when the newest is `head`.
    pub(crate) fn surplus(&self, head: u64, versions: &[u64], beginnings: &[u64]) -> Surplus {
        let oldest = self.oldest(head);
        let older = |version: &&u64| **version < oldest;
        let places = usize::try_from(self.beginnings).unwrap_or(usize::MAX);
        let kept: Vec<u64> = beginnings.iter().rev().filter(older).take(places).copied().collect();
        let dropped = |all: &[u64]| -> Vec<u64> {
            all.iter().filter(older).filter(|version| !kept.contains(version)).copied().collect()
        };
        Surplus { versions: dropped(versions), beginnings: dropped(beginnings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_latest_beginnings_stay() {
        let retention = Retention { newest: NonZeroU64::new(3).unwrap(), beginnings: 2 };
        let versions = [0, 2, 5, 7, 8, 9, 10, 11];
        // 9 is among the newest and takes no place.
        let surplus = retention.surplus(11, &versions, &[0, 2, 7, 9]);
        assert_eq!(surplus, Surplus { versions: vec![0, 5, 8], beginnings: vec![0] });
        let surplus = Retention { beginnings: 0, ..retention }.surplus(11, &versions, &[7, 9]);
        assert_eq!(surplus, Surplus { versions: vec![0, 2, 5, 7, 8], beginnings: vec![7] });
        let surplus = Retention::default().surplus(7, &[0, 1, 7], &[0]);
        assert_eq!(surplus, Surplus { versions: vec![], beginnings: vec![] });
    }
}
