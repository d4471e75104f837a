//! Random choices of a training as functions of its seed, the step and what they are for.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

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
    /// Keys and ciphertexts of a product, by the version and the product's number.
    Product = 6,
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

    /// The generator for product `number` of the step on `version`: the number is hashed as well.
    pub fn of_product(&self, version: u64, number: u64) -> ChaCha20Rng {
        let hash = self.hash(Purpose::Product, version).chain_update(number.to_le_bytes());
        ChaCha20Rng::from_seed(hash.finalize().into())
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
            for (version, number) in [(0, 0), (0, 1), (1, 0), (256, u64::MAX)] {
                assert!(seen.insert(randomness.of_product(version, number).next_u64()));
            }
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
