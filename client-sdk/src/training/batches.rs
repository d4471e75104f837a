//! Which examples each step uses, and in which slots.

use rand::CryptoRng;
use rand::seq::SliceRandom;
use sphinx_linalg::SLOTS;
use sphinx_privacy::{PoissonSampler, PrivacyPlan};

use crate::training::augmentation::{Augmentation, copies};
use crate::training::inputs::View;

/// The source of batches. `Debug` is left out: who is in a batch is secret.
pub(crate) enum Batches {
    /// Each example independently with the same probability, as the privacy proof needs.
    Poisson(PoissonSampler),
    /// Every example once per epoch, in random order.
    Shuffled {
        /// The examples of this epoch.
        order: Vec<usize>,
        /// How many of them were used.
        used: usize,
        /// Examples of a full batch.
        size: usize,
    },
}

impl Batches {
    pub fn new(examples: usize, size: u64, plan: Option<&PrivacyPlan>) -> Self {
        match plan {
            Some(plan) => Self::Poisson(PoissonSampler::new(
                examples,
                plan.segment.sampling_rate,
                usize::try_from(plan.capacity).unwrap_or(usize::MAX),
            )),
            None => {
                let size = usize::try_from(size).unwrap_or(usize::MAX).min(examples);
                Self::Shuffled { order: (0..examples).collect(), used: examples, size }
            }
        }
    }

    /// The examples of the next step.
    pub fn draw(&mut self, rng: &mut impl CryptoRng) -> Vec<usize> {
        match self {
            Self::Poisson(sampler) => sampler.draw(rng).indices,
            Self::Shuffled { order, used, size } => {
                if *used == order.len() {
                    order.shuffle(rng);
                    *used = 0;
                }
                let batch = order[*used..].iter().take(*size).copied().collect::<Vec<_>>();
                *used += batch.len();
                batch
            }
        }
    }
}

/// What the slots of a step's blocks show; always `blocks` of them, empty ones included, so that
/// the server cannot count.
///
/// Example e of a block is in slot e, its copies in slots k · 2048 / copies + e, as
/// [`clipped_mean_gradient`](sphinx_gradient::BlockPass::clipped_mean_gradient) expects them.
/// Offsets are drawn example by example: those of one do not depend on the ones behind it.
pub(crate) fn blocks(
    batch: &[usize],
    blocks: u64,
    augmentation: Option<Augmentation>,
    rng: &mut impl CryptoRng,
) -> Vec<Vec<Option<View>>> {
    let copies = copies(augmentation).get();
    let stride = SLOTS / copies;
    let block = |block: usize| {
        let first = (block * stride).min(batch.len());
        let mut slots = vec![None; SLOTS];
        for (slot, &example) in batch[first..].iter().take(stride).enumerate() {
            slots[slot] = Some(View::of(example));
            let Some(augmentation) = augmentation else { continue };
            for copy in 1..copies {
                slots[copy * stride + slot] = Some(augmentation.moved(example, rng));
            }
        }
        slots
    };
    (0..blocks as usize).map(block).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(2)
    }

    fn shown(block: &[Option<View>]) -> Vec<usize> {
        block.iter().flatten().map(|view| view.example).collect()
    }

    #[test]
    fn the_number_of_blocks_does_not_tell_how_many_examples_were_drawn() {
        let examples: Vec<usize> = (0..3 * SLOTS).collect();
        for drawn in [0, 1, SLOTS - 1, SLOTS, SLOTS + 1, 2 * SLOTS, 3 * SLOTS] {
            let cut = blocks(&examples[..drawn], 3, None, &mut rng());
            assert!(cut.len() == 3 && cut.iter().all(|block| block.len() == SLOTS));
            let all: Vec<usize> = cut.iter().flat_map(|block| shown(block)).collect();
            assert_eq!(all, examples[..drawn]);
            // From the first slot on, and as they are.
            let filled =
                |block: &Vec<Option<View>>| block.iter().take_while(|v| v.is_some()).count();
            assert_eq!(cut.iter().map(filled).sum::<usize>(), drawn);
            assert!(cut.iter().flatten().flatten().all(|view| *view == View::of(view.example)));
        }
    }

    #[test]
    fn copies_lie_a_stride_apart_and_the_first_is_unmoved() {
        let batch: Vec<usize> = (100..100 + 300).collect();
        for copies in [2, 8, 16] {
            let augmentation = Augmentation { copies, shift: 2 };
            let cut = blocks(&batch, 3, Some(augmentation), &mut rng());
            let (copies, stride) = (copies as usize, SLOTS / copies as usize);
            assert_eq!(cut.len(), 3);
            let mut moved = 0;
            for (index, block) in cut.iter().enumerate() {
                assert_eq!(block.len(), SLOTS);
                for (slot, view) in block.iter().enumerate() {
                    let expected = batch.get(index * stride + slot % stride);
                    assert_eq!(view.map(|view| view.example), expected.copied());
                    let Some(view) = view else { continue };
                    assert!(view.dx.abs() <= 2 && view.dy.abs() <= 2);
                    assert!(slot >= stride || *view == View::of(view.example));
                    moved += usize::from(*view != View::of(view.example));
                }
            }
            // 24 of 25 offsets move.
            let most = batch.len() * (copies - 1);
            assert!(moved < most && moved > most * 9 / 10, "{moved} of {most}");
        }
    }

    #[test]
    fn offsets_do_not_depend_on_examples_behind() {
        let augmentation = Some(Augmentation { copies: 4, shift: 1 });
        let batch: Vec<usize> = (0..40).collect();
        let (long, short) = (
            blocks(&batch, 1, augmentation, &mut rng()),
            blocks(&batch[..39], 1, augmentation, &mut rng()),
        );
        for (long, short) in long[0].iter().zip(&short[0]) {
            assert!(long == short || long.is_some_and(|view| view.example == 39));
        }
        assert_eq!(shown(&short[0]).len(), 4 * 39);
    }
}
