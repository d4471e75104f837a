//! Encryption under keys that share masks.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{SEED_BYTES, Seed, expand_mask, pack};
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

/// The secrets of a row's encryption.
type NoiseKey = [u8; SEED_BYTES];

impl BlockKeys {
    /// Encrypts `count` rows from number `first` on, modulo 2^t: `fill` writes the integers of a
    /// row for the slots of all blocks. What is encrypted, noise included, is added to the tally.
    ///
    /// Expected cost per row and thread: one transform of the mask; per block its product with the
    /// key (one transform back), 8 kB of noise bits, and three multiply-adds per slot for the
    /// tally. Seeds are public and drawn from `rng` together with the secret key of each row's
    /// noise: a generator that takes fresh bytes from the system.
    pub fn encrypt_rows(
        &self,
        (first, count): (usize, usize),
        rng: &mut impl CryptoRng,
        fill: impl Fn(usize, &mut [i32]) + Sync,
        tally: &mut Tally,
    ) -> SharedRows {
        let mut seeds = vec![0u8; count * SEED_BYTES];
        rng.fill_bytes(&mut seeds);
        let mut noise_keys = Zeroizing::new(vec![NoiseKey::default(); count]);
        noise_keys.iter_mut().for_each(|key| rng.fill_bytes(key));
        let row_bytes = self.row_bytes();
        let mut bodies = vec![0u8; count * row_bytes];
        let (span, coefficients) = (span(count), &tally.coefficients);
        let sums = bodies
            .par_chunks_mut(span * row_bytes)
            .zip(seeds.as_chunks::<SEED_BYTES>().0.par_chunks(span))
            .zip(noise_keys.par_chunks(span))
            .enumerate()
            .map(|(index, ((bodies, seeds), noise_keys))| {
                let mut scratch = Scratch::new(self.profile.dimension(), self.slots());
                let mut sums = SpanTally::new(self.slots());
                let groups = bodies.chunks_mut(GROUP * row_bytes);
                let secrets = seeds.chunks(GROUP).zip(noise_keys.chunks(GROUP));
                for (group, (bodies, (seeds, noise_keys))) in groups.zip(secrets).enumerate() {
                    let row = first + index * span + group * GROUP;
                    for (place, out) in bodies.chunks_exact_mut(row_bytes).enumerate() {
                        let secrets = (Seed(seeds[place]), &noise_keys[place]);
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
        (seed, noise_key): (Seed, &NoiseKey),
        fill: impl FnOnce(&mut [i32]),
        scratch: &mut Scratch,
        out: &mut [u8],
    ) {
        let Scratch { mask, transformed, product, body, rows, noise } = scratch;
        let row = &mut rows[place * self.slots()..][..self.slots()];
        fill(row);
        add_noise_signed(noise_key, self.profile.noise_bound_log2(), row, noise);
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
