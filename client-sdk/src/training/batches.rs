//! Which examples each step uses.

use rand::CryptoRng;
use rand::seq::SliceRandom;
use sphinx_linalg::SLOTS;
use sphinx_privacy::{PoissonSampler, PrivacyPlan};

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

/// Cuts a batch into blocks; always `blocks` of them, empty ones included, so that the server cannot count.
pub(crate) fn blocks(batch: &[usize], blocks: u64) -> impl Iterator<Item = &[usize]> {
    (0..blocks as usize).map(|block| {
        let first = (block * SLOTS).min(batch.len());
        &batch[first..batch.len().min(first + SLOTS)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_blocks_does_not_tell_how_many_examples_were_drawn() {
        let examples: Vec<usize> = (0..3 * SLOTS).collect();
        for drawn in [0, 1, SLOTS - 1, SLOTS, SLOTS + 1, 2 * SLOTS, 3 * SLOTS] {
            let cut: Vec<&[usize]> = blocks(&examples[..drawn], 3).collect();
            assert_eq!((cut.len(), cut.concat()), (3, examples[..drawn].to_vec()));
            assert!(cut.iter().all(|block| block.len() <= SLOTS));
        }
    }
}
