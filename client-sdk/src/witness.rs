//! What leaves this machine, and what it stands for: for people who want to see it.

use std::fmt;
use std::sync::Arc;

use sphinx_network::Direction;

/// A linear product that a service is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Of a training step, encrypted.
    Training {
        /// Linear layer, from 0.
        stage: usize,
        /// Towards the loss, or back from it.
        direction: Direction,
    },
    /// Of a recognition, masked.
    Recognition {
        /// Linear layer, from 0.
        stage: usize,
    },
}

/// One half of a crossing: the values as only this machine knows them, then the bytes that leave
/// in their place, in one or several messages. `Debug` shows neither.
#[derive(Clone, Copy)]
pub enum Sight<'a> {
    /// About to be hidden.
    Hidden {
        /// What for.
        product: Product,
        /// Values `[row][slot]`: a block of training examples, or one image with one slot.
        values: &'a [f32],
        /// Slots of each row.
        slots: usize,
    },
    /// Leaves instead.
    Left {
        /// What for.
        product: Product,
        /// Payload of the message: bodies of ciphertexts, or masked integers.
        bytes: &'a [u8],
    },
}

impl fmt::Debug for Sight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sight(..)")
    }
}

/// Somebody who is shown what leaves. Called on the threads that send, so it should be quick; what
/// it is shown is secret and belongs nowhere but on a screen.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(Sight<'_>) + Send + Sync>);

impl Witness {
    /// Calls `look` for each sight.
    pub fn new(look: impl Fn(Sight<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(crate) fn see(&self, sight: Sight<'_>) {
        (self.0)(sight);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness(..)")
    }
}
