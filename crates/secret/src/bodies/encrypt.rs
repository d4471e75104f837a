//! Encryption under keys that share masks.

use rand::CryptoRng;
use rayon::prelude::*;
use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, Width, expand_mask, pack};
use zeroize::Zeroizing;

use super::{BlockKeys, GROUP, Scratch, SpanTally, Tally, span};
use crate::noise::add_noise_signed;

/// Bytes of a body.
const BODY_BYTES: usize = POLYNOMIAL_SIZE * Width::Four.bytes();

/// Fresh seeded ciphertexts of several blocks, in wire form.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedRows {
    /// 16 bytes per row: the public seed of its mask.
    pub seeds: Vec<u8>,
    /// Per row the body of every block, N words of 4 bytes each.
    pub bodies: Vec<u8>,
}

/// The secrets of a row's encryption.
type NoiseKey = [u8; SEED_BYTES];

impl BlockKeys {
    /// Encrypts `count` rows from number `first` on, modulo 2^32: `fill` writes the integers of a
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
        let row_bytes = self.blocks() * BODY_BYTES;
        let mut bodies = vec![0u8; count * row_bytes];
        let (span, coefficients) = (span(count), &tally.coefficients);
        let sums = bodies
            .par_chunks_mut(span * row_bytes)
            .zip(seeds.as_chunks::<SEED_BYTES>().0.par_chunks(span))
            .zip(noise_keys.par_chunks(span))
            .enumerate()
            .map(|(index, ((bodies, seeds), noise_keys))| {
                let mut scratch = Scratch::new(self.slots());
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
        add_noise_signed(noise_key, row, noise);
        expand_mask(seed, mask);
        self.transform.forward(mask, transformed);
        let blocks = row.chunks_exact(POLYNOMIAL_SIZE).zip(out.chunks_exact_mut(BODY_BYTES));
        for (key, (values, out)) in self.keys.iter().zip(blocks) {
            body.iter_mut().zip(values).for_each(|(word, value)| *word = value.cast_unsigned());
            key.accumulate_transformed(transformed, false, body, product);
            pack(body, Width::Four, out);
        }
    }
}
