//! Random choices of a training as functions of its seed, the step and what they are for.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::product::Fresh;

/// Keeps these generators apart from others with the same seed.
const DOMAIN: &[u8] = b"sphinx training randomness 1";

/// What a step draws. The numbers are part of the generators' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Who is in a batch.
    Batch = 1,
    /// The order of an epoch, by the epoch's number instead of a step's.
    Epoch = 2,
    /// In which slots examples are, and what the other slots do.
    Slots = 3,
    /// How copies are moved.
    Augmentation = 4,
    /// The noise of the mechanism.
    Noise = 5,
    /// Keys and masks of a product, by the version, the product, the first of its blocks and their
    /// number.
    Keys = 6,
    /// The noise of ciphertexts, by the version, the product and the block.
    Errors = 7,
}

/// A seed, and a generator of its own for every purpose and step.
///
/// What a step draws depends on no other step and on no other purpose: a training that goes on at
/// some step draws what it would have drawn there without a break. `Debug` is left out: all
/// randomness of a training follows from the seed.
pub(crate) struct StepRandomness {
    seed: Zeroizing<[u8; 32]>,
}

impl StepRandomness {
    /// By a seed from the operating system, or a fixed one where a training has to be repeatable.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed) }
    }

    /// The generator for one purpose at step `step` of the session: ChaCha20 with the key
    /// SHA-256(domain ‖ seed ‖ purpose ‖ step), which is pseudorandom as long as the seed is
    /// secret. Two calls give the same generator: whoever draws twice must not release both.
    pub fn of(&self, purpose: Purpose, step: u64) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.hash(purpose, step).finalize().into())
    }

    /// The generators for product `number` of the step on `version`, of so many of the step's
    /// blocks from `first` on. The noise of a block does not depend on the blocks beside it.
    pub fn of_product(
        &self,
        (version, number): (u64, u64),
        (first, blocks): (usize, usize),
    ) -> Fresh {
        let of = |purpose, block: usize, count: usize| {
            let hash = self.hash(purpose, version).chain_update(number.to_le_bytes());
            let hash = hash.chain_update((block as u64).to_le_bytes());
            let hash = hash.chain_update((count as u64).to_le_bytes());
            ChaCha20Rng::from_seed(hash.finalize().into())
        };
        let errors = (first..first + blocks).map(|block| of(Purpose::Errors, block, 1)).collect();
        // With the count: when a shard is lost and its blocks are asked for together with others,
        // no key may be what was a mask's seed, which is public, among fewer blocks.
        Fresh { keys: of(Purpose::Keys, first, blocks), errors }
    }

    fn hash(&self, purpose: Purpose, step: u64) -> Sha256 {
        let hash = Sha256::new_with_prefix(DOMAIN).chain_update(*self.seed);
        hash.chain_update([purpose as u8]).chain_update(step.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::Rng;

    use super::*;

    const PURPOSES: [Purpose; 5] =
        [Purpose::Batch, Purpose::Epoch, Purpose::Slots, Purpose::Augmentation, Purpose::Noise];

    #[test]
    fn every_seed_purpose_and_step_has_a_generator_of_its_own() {
        let mut seen = HashSet::new();
        for seed in [[0; 32], [1; 32]] {
            let randomness = StepRandomness::new(seed);
            for purpose in PURPOSES {
                for step in [0, 1, 255, 256, u64::MAX] {
                    assert!(seen.insert(randomness.of(purpose, step).next_u64()));
                }
            }
            for product in [(0, 0), (0, 1), (1, 0), (256, u64::MAX)] {
                for first in [0, 3] {
                    let Fresh { mut keys, errors } = randomness.of_product(product, (first, 3));
                    assert!(seen.insert(keys.next_u64()));
                    assert_eq!(errors.len(), 3);
                    errors.into_iter().for_each(|mut rng| assert!(seen.insert(rng.next_u64())));
                }
            }
        }
    }

    #[test]
    fn the_noise_of_a_block_is_the_same_beside_whichever_blocks() {
        let randomness = StepRandomness::new([7; 32]);
        let words = |blocks| {
            let errors = randomness.of_product((3, 2), blocks).errors;
            errors.into_iter().map(|mut rng| rng.next_u64()).collect::<Vec<_>>()
        };
        let whole = words((0, 5));
        assert_eq!(whole, [words((0, 2)), words((2, 1)), words((3, 2))].concat());
    }

    #[test]
    fn keys_of_other_numbers_of_blocks_have_nothing_in_common() {
        let randomness = StepRandomness::new([7; 32]);
        let mut seen = HashSet::new();
        for blocks in 1..=4 {
            let mut keys = randomness.of_product((3, 2), (0, blocks)).keys;
            assert!((0..8).all(|_| seen.insert(keys.next_u64())));
        }
    }

    #[test]
    fn a_generator_does_not_depend_on_what_was_drawn_before() {
        let (used, fresh) = (StepRandomness::new([7; 32]), StepRandomness::new([7; 32]));
        for step in 0..7 {
            let drawn = PURPOSES.map(|purpose| used.of(purpose, step).next_u64());
            assert!(drawn.iter().all(|word| *word != 0));
        }
        for purpose in PURPOSES {
            let draw = |randomness: &StepRandomness| {
                let mut rng = randomness.of(purpose, 7);
                [(); 4].map(|()| rng.next_u64())
            };
            assert_eq!(draw(&used), draw(&fresh));
        }
    }
}
