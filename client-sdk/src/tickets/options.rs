//! When a supply of tickets does what.

use std::time::Duration;

use sphinx_linalg::SLOTS;

/// When a supply does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupplyOptions {
    /// With fewer unused tickets than this, the next 2048 are prepared; 0 prepares only when
    /// somebody waits.
    pub low_water: usize,
    /// Tickets taken from the store in advance, in one durable commit. At most one and a half times
    /// as many are lost when the process is killed.
    pub lease: usize,
    /// How often the service is asked whether the model has moved on. A supply also asks before
    /// every preparation and when its version is no longer served; zero leaves it at that.
    pub follow: Duration,
}

impl Default for SupplyOptions {
    /// A quarter of a block; 64: a commit per 64 images; 30 s.
    fn default() -> Self {
        Self { low_water: SLOTS / 4, lease: 64, follow: Duration::from_secs(30) }
    }
}
