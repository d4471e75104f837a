//! The last crossing of each kind: what was hidden, and the bytes that left instead. In memory
//! alone, and shown to nobody but the person at the screen.

use std::sync::{Mutex, PoisonError};

use sphinx_client::{Product, Sight};

/// Bytes that are kept of a crossing.
const KEPT: usize = 64 * 1024;
/// Images of a training step that are kept.
const IMAGES: usize = 24;

/// What was hidden, and what left.
#[derive(Clone, Default)]
pub struct Crossing {
    /// Values of the first images, `[image][row]`.
    pub hidden: Vec<Vec<f32>>,
    /// The first bytes that left.
    pub left: Vec<u8>,
    /// Bytes that left in all.
    pub bytes: u64,
}

/// The first layer of the last training step and of the last recognition.
#[derive(Default)]
pub struct Record {
    training: Mutex<Crossing>,
    recognition: Mutex<Crossing>,
}

impl Record {
    /// The last training step.
    pub fn training(&self) -> Crossing {
        self.training.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last recognition.
    pub fn recognition(&self) -> Crossing {
        self.recognition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what there is to see of the first layer: that is where the images are.
    pub fn see(&self, sight: Sight<'_>) {
        match sight {
            Sight::Hidden { product, values, slots } => {
                let Some(crossing) = self.of(product) else { return };
                let mut crossing = crossing.lock().unwrap_or_else(PoisonError::into_inner);
                let hidden = (0..slots.min(IMAGES))
                    .map(|slot| values.iter().skip(slot).step_by(slots.max(1)).copied().collect());
                *crossing = Crossing { hidden: hidden.collect(), left: Vec::new(), bytes: 0 };
            }
            Sight::Left { product, bytes } => {
                let Some(crossing) = self.of(product) else { return };
                let mut crossing = crossing.lock().unwrap_or_else(PoisonError::into_inner);
                let free = KEPT.saturating_sub(crossing.left.len()).min(bytes.len());
                crossing.left.extend_from_slice(&bytes[..free]);
                crossing.bytes += bytes.len() as u64;
            }
        }
    }

    fn of(&self, product: Product) -> Option<&Mutex<Crossing>> {
        match product {
            Product::Training { stage: 0, direction: sphinx_client::Direction::Forward } => {
                Some(&self.training)
            }
            Product::Recognition { stage: 0 } => Some(&self.recognition),
            Product::Training { .. } | Product::Recognition { .. } => None,
        }
    }
}
