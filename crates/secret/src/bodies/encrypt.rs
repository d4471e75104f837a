//! Encryption under keys that share masks.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{SEED_BYTES, SLOTS, Seed, expand_mask, pack};
use zeroize::Zeroizing;

use super::{BlockKeys, GROUP, Scratch, SpanTally, Tally, span};
use crate::noise::add_noise_signed;

/// Fresh seeded ciphertexts of several blocks, in wire form.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedRows {
    /// 16 bytes per row: the public seed of its mask.
    pub seeds: Vec<u8>,
    /// Per row the bodies of every block, N words of t bits each.
    pub bodies: Vec<u8>,
}

/// The secret of the noise of a block in a row.
type NoiseKey = [u8; SEED_BYTES];

impl BlockKeys {
    /// Encrypts `count` rows from number `first` on, modulo 2^t: `fill` writes the integers of a
    /// row for the slots of all blocks. What is encrypted, noise included, is added to the tally.
    ///
    /// Expected cost per row and thread: one transform of the mask; per block its product with the
    /// key (one transform back), 8 kB of noise bits, and three multiply-adds per slot for the
    /// tally. `rng` yields seeds, which are public; the generator of a block in `noise` the secret
    /// key of each row's noise in it, in the order of the rows, so that the noise of a block does
    /// not depend on the blocks that it shares masks with. All take fresh bytes from the system.
    ///
    /// # Panics
    /// Without a generator for every block.
    pub fn encrypt_rows<R: CryptoRng>(
        &self,
        (first, count): (usize, usize),
        (rng, noise): (&mut R, &mut [R]),
        fill: impl Fn(usize, &mut [i32]) + Sync,
        tally: &mut Tally,
    ) -> SharedRows {
        let mut seeds = vec![0u8; count * SEED_BYTES];
        rng.fill_bytes(&mut seeds);
        let blocks = self.blocks();
        assert_eq!(noise.len(), blocks, "generators of noise");
        let mut noise_keys = Zeroizing::new(vec![NoiseKey::default(); count * blocks]);
        for row in noise_keys.chunks_exact_mut(blocks) {
            row.iter_mut().zip(&mut *noise).for_each(|(key, noise)| noise.fill_bytes(key));
        }
        let row_bytes = self.row_bytes();
        let mut bodies = vec![0u8; count * row_bytes];
        let (span, coefficients) = (span(count), &tally.coefficients);
        let sums = bodies
            .par_chunks_mut(span * row_bytes)
            .zip(seeds.as_chunks::<SEED_BYTES>().0.par_chunks(span))
            .zip(noise_keys.par_chunks(span * blocks))
            .enumerate()
            .map(|(index, ((bodies, seeds), noise_keys))| {
                let mut scratch = Scratch::new(self.profile.dimension(), self.slots());
                let mut sums = SpanTally::new(self.slots());
                let groups = bodies.chunks_mut(GROUP * row_bytes);
                let secrets = seeds.chunks(GROUP).zip(noise_keys.chunks(GROUP * blocks));
                for (group, (bodies, (seeds, noise_keys))) in groups.zip(secrets).enumerate() {
                    let row = first + index * span + group * GROUP;
                    for (place, out) in bodies.chunks_exact_mut(row_bytes).enumerate() {
                        let noise_keys = &noise_keys[place * blocks..][..blocks];
                        let secrets = (Seed(seeds[place]), noise_keys);
                        let fill = |values: &mut [i32]| fill(row + place, values);
                        self.encrypt_row(place, secrets, fill, &mut scratch, out);
                    }
                    let values = &scratch.rows[..seeds.len() * self.slots()];
                    sums.add(coefficients, |place| row + place, values);
                }
                sums
            })
            .collect::<Vec<_>>();
        sums.into_iter().for_each(|sums| tally.merge(sums));
        SharedRows { seeds, bodies }
    }

    /// Leaves what is encrypted in the scratch rows.
    fn encrypt_row(
        &self,
        place: usize,
        (seed, noise_keys): (Seed, &[NoiseKey]),
        fill: impl FnOnce(&mut [i32]),
        scratch: &mut Scratch,
        out: &mut [u8],
    ) {
        let Scratch { mask, transformed, product, body, rows, noise } = scratch;
        let row = &mut rows[place * self.slots()..][..self.slots()];
        fill(row);
        for (values, key) in row.chunks_exact_mut(SLOTS).zip(noise_keys) {
            add_noise_signed(key, self.profile.noise_bound_log2(), values, noise);
        }
        expand_mask(seed, mask);
        // Words lie in the top t bits.
        let unused = self.profile.unused_bits();
        mask.iter_mut().for_each(|word| *word &= u32::MAX << unused);
        self.transform.forward(mask, transformed);
        let size = self.profile.dimension();
        let blocks = row.chunks_exact(size).zip(out.chunks_exact_mut(self.half_bytes()));
        for (key, (values, out)) in self.keys.iter().zip(blocks) {
            let words = body.iter_mut().zip(values);
            words.for_each(|(word, value)| *word = value.cast_unsigned() << unused);
            key.accumulate_transformed(transformed, false, body, product);
            pack(body, self.profile.width(), out);
        }
    }
}
