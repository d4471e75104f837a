//! Augmentation multiplicity: several copies of each example, whose gradients are averaged before
//! clipping.

use std::num::NonZeroUsize;

use rand::{CryptoRng, RngExt};

use crate::error::AugmentationError;
use crate::training::inputs::View;

/// How examples are shown several times within one step (De et al. 2022, "Unlocking high-accuracy
/// differentially private image classification through scale", section 3.2).
///
/// The gradients of an example's copies are averaged before they are clipped, so that it adds no
/// more to the released sum than without copies, and what copies show of it costs no privacy. They
/// cost slots: a block holds 2048 / `copies` examples.
///
/// The first copy stays as it is: it is what the network is asked to recognise later, and with a
/// public stem its features are there already. The others are moved at random, anew in every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Slots that each example takes: 2, 4, 8 or 16.
    pub copies: u64,
    /// Most pixels by which a copy is moved, in both directions of both axes: 1 to 4. Every offset,
    /// also none, is equally likely; black comes in at the edge.
    pub shift: u8,
}

impl Augmentation {
    /// Largest number of copies.
    pub const MOST_COPIES: u64 = 16;
    /// Largest shift in pixels.
    pub const MOST_SHIFT: u8 = 4;

    /// Refuses copies that no block holds and shifts that make no sense.
    ///
    /// # Errors
    /// [`AugmentationError`].
    pub fn validate(self) -> Result<(), AugmentationError> {
        let Self { copies, shift } = self;
        if !copies.is_power_of_two() || !(2..=Self::MOST_COPIES).contains(&copies) {
            Err(AugmentationError::Copies { got: copies })
        } else if !(1..=Self::MOST_SHIFT).contains(&shift) {
            Err(AugmentationError::Shift { got: shift })
        } else {
            Ok(())
        }
    }

    /// A copy of an example other than its first.
    pub(crate) fn moved(self, example: usize, rng: &mut impl CryptoRng) -> View {
        let most = self.shift.cast_signed();
        let mut offset = || rng.random_range(-most..=most);
        View { example, dx: offset(), dy: offset() }
    }
}

/// Slots that each example takes.
pub(crate) fn copies(augmentation: Option<Augmentation>) -> NonZeroUsize {
    let copies = augmentation.map_or(1, |augmentation| augmentation.copies as usize);
    NonZeroUsize::new(copies).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn offsets_are_uniform_within_the_shift() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for shift in [1, 4] {
            let augmentation = Augmentation { copies: 2, shift };
            let cells = (2 * u32::from(shift) + 1).pow(2);
            let mut counts = BTreeMap::new();
            for _ in 0..1000 * cells {
                let View { example, dx, dy } = augmentation.moved(7, &mut rng);
                assert_eq!(example, 7);
                *counts.entry((dx, dy)).or_insert(0u32) += 1;
            }
            assert_eq!(counts.len() as u32, cells);
            // Deviation 31.6 of 1000 each.
            assert!(counts.values().all(|count| (840..1160).contains(count)), "{counts:?}");
            let most = shift.cast_signed();
            assert!(counts.keys().all(|(dx, dy)| dx.abs() <= most && dy.abs() <= most));
        }
    }

    #[test]
    fn rejects_copies_that_are_none_that_do_not_fill_a_block_or_are_too_many() {
        for copies in [2, 4, 8, 16] {
            assert_eq!(Augmentation { copies, shift: 1 }.validate(), Ok(()));
        }
        for got in [0, 1, 3, 6, 12, 32, 2048, u64::MAX] {
            let error = Augmentation { copies: got, shift: 1 }.validate();
            assert_eq!(error, Err(AugmentationError::Copies { got }));
        }
    }

    #[test]
    fn rejects_shifts_of_nothing_or_too_far() {
        for got in [0, 5, 28, 128, 255] {
            let error = Augmentation { copies: 4, shift: got }.validate();
            assert_eq!(error, Err(AugmentationError::Shift { got }));
        }
    }
}
