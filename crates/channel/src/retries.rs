//! When a request is sent again, and after which pause.

use std::time::Duration;

use rand::RngExt;
use sphinx_proto::Reason;
use sphinx_proto::code::RETRY_AFTER_MS;
use tonic::Status;

use crate::status::{broken, untrusted};
use crate::verdict::Verdict;

/// Pauses are up to this much longer, so that clients that were turned away together do not come
/// back together.
const JITTER: f64 = 0.25;

/// The patience of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// Least pauses between the tries.
    pub pauses: &'static [Duration],
    /// Longest pause that a service may ask for.
    pub longest_hint: Duration,
}

impl Retries {
    /// How often a request is sent before it is given up.
    pub fn tries(&self) -> usize {
        self.pauses.len() + 1
    }

    /// Sends a request with `attempt`, again while another try may help, as `again` says.
    ///
    /// # Errors
    /// The last status.
    pub async fn run<T, F, A>(
        &self,
        again: impl Fn(&Status) -> bool,
        mut attempt: F,
    ) -> Result<T, Status>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let mut pauses = self.pauses.iter();
        loop {
            let status = match attempt().await {
                Ok(reply) => return Ok(reply),
                Err(status) => status,
            };
            match pauses.next() {
                Some(&due) if again(&status) => {
                    tokio::time::sleep(self.pause(&status, due)).await;
                }
                Some(_) | None => return Err(status),
            }
        }
    }

    /// What the service asks for, and no less than what is due.
    fn pause(&self, status: &Status, due: Duration) -> Duration {
        let asked = asked_pause(status).unwrap_or_default().min(self.longest_hint);
        asked.max(due).mul_f64(rand::rng().random_range(1.0..1.0 + JITTER))
    }
}

/// Whether the same request may be sent again: the service says so, or the connection broke, and
/// not because somebody is not who he should be.
pub(crate) fn may_pass(status: &Status) -> bool {
    (verdict(status) == Verdict::Again || broken(status)) && !untrusted(status)
}

/// As [`may_pass`], for attempts that begin by reading the state which the rest depends on.
pub(crate) fn may_pass_reread(status: &Status) -> bool {
    verdict(status) == Verdict::Reread || may_pass(status)
}

fn verdict(status: &Status) -> Verdict {
    Verdict::of(status.code(), Reason::of(status))
}

fn asked_pause(status: &Status) -> Option<Duration> {
    let millis = status.metadata().get(RETRY_AFTER_MS)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_lengthen_pauses_and_never_shorten_them() {
        let hinted = |millis: u64| {
            let mut status = Status::resource_exhausted("full");
            status.metadata_mut().insert(RETRY_AFTER_MS, millis.into());
            status
        };
        let retries = Retries { pauses: &[], longest_hint: Duration::from_secs(30) };
        let due = Duration::from_millis(900);
        for (hint, expected) in [(200, 900), (1500, 1500), (3_600_000, 30_000)] {
            let expected = Duration::from_millis(expected);
            let pauses = [(); 100].map(|()| retries.pause(&hinted(hint), due));
            let range = expected..expected.mul_f64(1.0 + JITTER);
            assert!(pauses.iter().all(|pause| range.contains(pause)), "{pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no two clients part");
        }
        assert!(retries.pause(&Status::unavailable("away"), due) >= due);
    }
}
