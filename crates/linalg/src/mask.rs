//! Expansion of a public seed into the mask of a ciphertext.

use aes::cipher::{KeyIvInit, StreamCipher};

use crate::parameters::SEED_BYTES;
use crate::word::Word;

/// The public seed of a ciphertext's mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; SEED_BYTES]);

/// Fills `mask` with the uniform words that `seed` stands for.
///
/// AES-128 in little-endian counter mode from block 0, the generator that tfhe's seeded ciphertexts
/// are made with, so that both expand a seed to the same mask.
pub fn expand_mask<W: Word>(seed: Seed, mask: &mut [W]) {
    let bytes: &mut [u8] = pulp::bytemuck::cast_slice_mut(mask);
    fill_keystream(&seed.0, bytes);
    if cfg!(target_endian = "big") {
        for word in mask {
            *word = W::from_u64(word.to_u64().swap_bytes() >> (64 - W::BITS));
        }
    }
}

/// Overwrites `bytes` with the AES-128 counter-mode keystream under `key`.
pub fn fill_keystream(key: &[u8; SEED_BYTES], bytes: &mut [u8]) {
    bytes.fill(0);
    let mut cipher = ctr::Ctr128LE::<aes::Aes128>::new(key.into(), &[0u8; 16].into());
    cipher.apply_keystream(bytes);
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::commons::math::random::RandomGenerator;
    use tfhe::core_crypto::prelude::DefaultRandomGenerator;

    use super::*;

    #[test]
    fn masks_are_those_tfhe_expands() {
        let seed = Seed(*b"a public seed 16");
        let tfhe_seed = tfhe::core_crypto::commons::math::random::Seed(u128::from_le_bytes(seed.0));
        let mut generator = RandomGenerator::<DefaultRandomGenerator>::new(tfhe_seed);
        let mut theirs = vec![0u32; 2048];
        generator.fill_slice_with_random_uniform(&mut theirs);
        let mut ours = vec![0u32; 2048];
        expand_mask(seed, &mut ours);
        assert_eq!(ours, theirs);

        let mut generator = RandomGenerator::<DefaultRandomGenerator>::new(tfhe_seed);
        let mut theirs = vec![0u64; 2048];
        generator.fill_slice_with_random_uniform(&mut theirs);
        let mut ours = vec![0u64; 2048];
        expand_mask(seed, &mut ours);
        assert_eq!(ours, theirs);
    }
}
