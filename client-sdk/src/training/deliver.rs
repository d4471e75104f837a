//! Sending a recorded update until it is committed, or certainly never will be.

use sphinx_channel::Verdict;

use crate::error::{ClientError, TrainingError};
use crate::training::evaluator::Evaluator;

/// How often a step is tried in all.
const TRIES: usize = 5;

/// Why an update is not committed.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The service refuses the update itself, each time it is sent.
    Refused(ClientError),
    /// It may have arrived, or may yet: it stays recorded and is sent again later.
    Open(ClientError),
}

/// Sends the update of `step`, made for the cloud's version, by `commit`; again after a break,
/// always the same bytes.
///
/// A refusal of the update itself counts only when a second stream gets one too: bytes that were
/// altered on their way may be refused for what they had become, and giving up wastes the privacy
/// that was spent for them.
pub(crate) fn deliver<C: Evaluator + ?Sized>(
    cloud: &mut C,
    step: u64,
    mut commit: impl FnMut(&mut C) -> Result<(), ClientError>,
) -> Result<(), Undelivered> {
    let base = cloud.version();
    let mut tries = 1;
    let mut refused = false;
    while let Err(error) = commit(cloud) {
        match error.verdict() {
            Some(Verdict::Never) if refused => return Err(Undelivered::Refused(error)),
            Some(Verdict::Never) => refused = true,
            Some(Verdict::Again | Verdict::Reread) => {}
            None if error.is_transient() => {}
            Some(Verdict::Stop) | None => return Err(Undelivered::Open(error)),
        }
        if reopen(cloud, step, error, &mut tries).map_err(Undelivered::Open)? {
            return Ok(());
        }
        // The update was made for this version and no other.
        if cloud.version() != base {
            let server = cloud.version();
            return Err(Undelivered::Open(TrainingError::PendingLost { server, base }.into()));
        }
    }
    Ok(())
}

/// Connects again after `error`, as often as a step may be tried, and says whether `step` had
/// arrived.
pub(crate) fn reopen<C: Evaluator + ?Sized>(
    cloud: &mut C,
    step: u64,
    mut error: ClientError,
    tries: &mut usize,
) -> Result<bool, ClientError> {
    while *tries < TRIES {
        tracing::warn!(%error, step, "the session broke; opening it again");
        *tries += 1;
        match cloud.reopen(step) {
            Ok(arrived) => return Ok(arrived),
            // The service went away again while it was asked.
            Err(again) if again.is_transient() => error = again,
            Err(again) => return Err(again),
        }
    }
    Err(error)
}
