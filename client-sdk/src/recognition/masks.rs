//! The masks r of tickets, expanded from seeds so that they need not be stored.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{SEED_BYTES, fill_keystream};
use zeroize::Zeroizing;

/// The secret seed of one ticket's masks.
pub(crate) type TicketSeed = Zeroizing<[u8; SEED_BYTES]>;

/// The masks of one stage for a whole block, ticket after ticket.
pub(crate) struct StageMasks {
    pub(crate) inputs: usize,
    pub(crate) words: Zeroizing<Vec<u32>>,
}

/// Fresh seeds for `count` tickets.
pub(crate) fn ticket_seeds(count: usize, rng: &mut impl CryptoRng) -> Vec<TicketSeed> {
    let fresh = |_| {
        let mut seed = TicketSeed::default();
        rng.fill_bytes(seed.as_mut());
        seed
    };
    (0..count).map(fresh).collect()
}

/// Fills `words` with the ticket's mask for a stage: uniform modulo 2^`bits`.
///
/// AES-128 in counter mode, keyed per ticket and stage: the stage's key is block `stage` of the
/// keystream under the ticket's seed.
pub(crate) fn expand(seed: &TicketSeed, stage: usize, bits: u32, words: &mut [u32]) {
    let mut stage_keys = Zeroizing::new(vec![0; (stage + 1) * SEED_BYTES]);
    fill_keystream(seed, &mut stage_keys);
    let mut key = TicketSeed::default();
    key.copy_from_slice(&stage_keys[stage * SEED_BYTES..]);
    fill_keystream(&key, bytemuck::cast_slice_mut(words));
    let low = u32::MAX >> (32 - bits);
    for word in words {
        *word = u32::from_le(*word) & low;
    }
}

impl StageMasks {
    /// Expands the masks of one stage for all tickets: 4 bytes of keystream per input and ticket.
    pub(crate) fn new(seeds: &[TicketSeed], stage: usize, inputs: usize, bits: u32) -> Self {
        let mut words = Zeroizing::new(vec![0; seeds.len() * inputs]);
        words
            .par_chunks_exact_mut(inputs)
            .zip(seeds)
            .for_each(|(words, seed)| expand(seed, stage, bits, words));
        Self { inputs, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ_by_ticket_and_stage_and_keep_to_the_modulus() {
        let seeds = [TicketSeed::new([1; 16]), TicketSeed::new([2; 16])];
        let masks = |stage, bits| StageMasks::new(&seeds, stage, 1000, bits).words.to_vec();
        let (first, second) = (masks(0, 24), masks(1, 24));
        assert_ne!(first[..1000], first[1000..]);
        assert_ne!(first, second);
        assert!(first.iter().all(|&word| word < 1 << 24));
        assert!(first.iter().any(|&word| word >= 1 << 23));
        let mut again = vec![0; 1000];
        expand(&seeds[1], 1, 24, &mut again);
        assert_eq!(second[1000..], again);
        assert!(masks(0, 32).iter().any(|&word| word >= 1 << 31));
    }
}
