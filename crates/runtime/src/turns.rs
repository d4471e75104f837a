//! Whose work comes next: one piece of each tenant in turn, so that nobody waits for all that
//! another has asked for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sphinx_proto::TenantId;

/// A piece of work. It does not panic.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Work that waits for a thread.
#[derive(Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    /// Those who wait, the next one first, each with what is his in the order of its coming. `None`
    /// is the service itself.
    waiting: VecDeque<(Option<TenantId>, VecDeque<Work>)>,
}

impl Turns {
    /// Takes work in; gives it back if less than `width` pieces run, to be started at once.
    pub(crate) fn add(&self, whose: Option<&TenantId>, work: Work, width: usize) -> Option<Work> {
        let mut state = self.lock();
        if state.running < width {
            state.running += 1;
            return Some(work);
        }
        match state.waiting.iter_mut().find(|(other, _)| other.as_ref() == whose) {
            Some((_, own)) => own.push_back(work),
            None => state.waiting.push_back((whose.cloned(), VecDeque::from([work]))),
        }
        None
    }

    /// What to start when a piece has ended.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        let next = state.waiting.pop_front().and_then(|(whose, mut own)| {
            let work = own.pop_front();
            if !own.is_empty() {
                state.waiting.push_back((whose, own));
            }
            work
        });
        if next.is_none() {
            state.running -= 1;
        }
        next
    }

    /// Pieces that run, and pieces that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.iter().map(|(_, own)| own.len()).sum())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Turns")
            .field("running", &state.running)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}
