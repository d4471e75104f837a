//! What checking costs.

use std::time::Duration;

/// CPU time of this thread so far; zero where the system does not tell.
pub fn thread_cpu() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
    }
    #[cfg(not(unix))]
    Duration::ZERO
}
