//! What a caller may say to an evaluation that runs, and hear from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::EvaluationError;

/// The caller's end of a running evaluation.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    cancelled: &'a AtomicBool,
    progress: &'a (dyn Fn(LayerDone) + Sync),
}

/// One layer is done. Shapes and times only: an evaluation knows no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerDone {
    /// Index of the linear layer.
    pub layer: usize,
    /// What was done.
    pub step: Step,
    /// Samples that came out.
    pub samples: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// The parts of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A linear layer, bias included.
    Linear,
    /// Key switches of an activation.
    KeySwitching,
    /// Blind rotations of an activation.
    Rotation,
    /// All logits into one ciphertext.
    Packing,
}

impl<'a> Control<'a> {
    /// An evaluation that stops soon after `cancelled` is set (within one step of the blind
    /// rotations under way, some tens of microseconds), and calls `progress` after every part, from
    /// the thread that runs the evaluation.
    pub fn new(cancelled: &'a AtomicBool, progress: &'a (dyn Fn(LayerDone) + Sync)) -> Self {
        Self { cancelled, progress }
    }

    /// Whether to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// An error once the caller wants to stop.
    pub(crate) fn check(&self) -> Result<(), EvaluationError> {
        if self.is_cancelled() { Err(EvaluationError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn done(&self, layer: usize, step: Step, samples: usize, elapsed: Duration) {
        (self.progress)(LayerDone { layer, step, samples, elapsed });
    }
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
