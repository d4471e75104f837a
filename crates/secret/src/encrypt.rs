//! Encryption of rows of a batch.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, SLOTS, Seed, Width, Word, expand_mask, pack};
use zeroize::Zeroizing;

use crate::key::SecretKey;
use crate::noise::add_noise;

/// Fresh seeded ciphertexts, in wire form.
#[derive(Clone, PartialEq, Eq)]
pub struct SeededRows {
    /// 16 bytes per row: the public seed of its mask.
    pub seeds: Vec<u8>,
    /// Bodies, N words per row, packed.
    pub bodies: Vec<u8>,
}

impl SecretKey {
    /// Encrypts rows of integers, one ciphertext per row of [`SLOTS`] values.
    ///
    /// Expected cost per row and modulus 2^32: 8 kB of mask, 8 kB of noise bits (AES, about 5
    /// GB/s), one transform forth and one back; twice that at 2^64. Parallel over rows. Seeds are
    /// public and drawn from `rng` together with the secret key of each row's noise.
    pub fn encrypt_rows<W: Word>(
        &self,
        messages: &[W],
        width: Width,
        rng: &mut impl CryptoRng,
    ) -> SeededRows {
        let rows = messages.len() / SLOTS;
        let row_bytes = POLYNOMIAL_SIZE * width.bytes();
        let mut seeds = vec![0u8; rows * SEED_BYTES];
        rng.fill_bytes(&mut seeds);
        let mut noise_keys = Zeroizing::new(vec![[0u8; SEED_BYTES]; rows]);
        noise_keys.iter_mut().for_each(|key| rng.fill_bytes(key));
        let mut bodies = vec![0u8; rows * row_bytes];
        bodies
            .par_chunks_exact_mut(row_bytes)
            .zip(messages.par_chunks_exact(SLOTS))
            .zip(seeds.as_chunks::<SEED_BYTES>().0.par_iter().zip(noise_keys.par_iter()))
            .for_each_init(Scratch::default, |scratch, ((out, message), (&seed, noise_key))| {
                let body = self.encrypt_row(message, Seed(seed), noise_key, scratch);
                pack(body, width, out);
            });
        SeededRows { seeds, bodies }
    }

    /// The body of one ciphertext: mask · key + noise + message.
    pub(crate) fn encrypt_row<'a, W: Word>(
        &self,
        message: &[W],
        seed: Seed,
        noise_key: &[u8; SEED_BYTES],
        scratch: &'a mut Scratch<W>,
    ) -> &'a [W] {
        expand_mask(seed, &mut scratch.mask);
        scratch.body.copy_from_slice(message);
        self.product.accumulate(&scratch.mask, false, &mut scratch.body, &mut scratch.transform);
        add_noise(noise_key, &mut scratch.body, &mut scratch.noise);
        &scratch.body
    }
}

/// Buffers of one worker. The transform and the body hold secrets on the way and are wiped on drop.
pub(crate) struct Scratch<W: Word> {
    mask: Vec<W>,
    body: Zeroizing<Vec<W>>,
    transform: Zeroizing<Vec<u64>>,
    noise: Vec<u8>,
}

impl<W: Word> Default for Scratch<W> {
    fn default() -> Self {
        Self {
            mask: vec![W::default(); POLYNOMIAL_SIZE],
            body: Zeroizing::new(vec![W::default(); POLYNOMIAL_SIZE]),
            transform: Zeroizing::new(vec![0; POLYNOMIAL_SIZE]),
            noise: Vec::new(),
        }
    }
}
