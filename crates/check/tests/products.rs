//! Right products pass and wrong ones do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, PRIME, SlotSums, project, random, residue};
use sphinx_linalg::{Group, LinearMap, Patch};

const SLOTS: usize = 64;

fn map(inputs: usize, patches: usize, taps: usize, rng: &mut ChaCha20Rng) -> LinearMap {
    let rows = 3;
    let places: Arc<[Patch]> = (0..patches)
        .map(|patch| Patch {
            gather: (0..taps).map(|_| rng.random_range(0..inputs as u32)).collect(),
            scatter: (0..rows).map(|row| (row * patches + patch) as u32).collect(),
        })
        .collect();
    let weights = (0..rows * taps).map(|_| rng.random_range(-1000..1000)).collect();
    let group = Group { taps, rows, weights, patches: places };
    LinearMap::new(inputs, rows * patches, vec![group]).unwrap()
}

/// Row after row, one value per slot.
fn product(map: &LinearMap, inputs: &[i32]) -> Vec<i32> {
    let mut outputs = vec![0; map.outputs() * SLOTS];
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (row, &output) in patch.scatter.iter().enumerate() {
                for (tap, &input) in patch.gather.iter().enumerate() {
                    let weight = group.weights[row * group.taps + tap];
                    for slot in 0..SLOTS {
                        outputs[output as usize * SLOTS + slot] +=
                            weight * inputs[input as usize * SLOTS + slot];
                    }
                }
            }
        }
    }
    outputs
}

/// Rows in pieces of different sizes, some in another sum.
fn sums(coefficients: &[u64], rows: &[i32], rng: &mut ChaCha20Rng) -> Vec<u64> {
    let limbs = Limbs::new(coefficients);
    let mut parts = [SlotSums::new(SLOTS), SlotSums::new(SLOTS)];
    let mut first = 0;
    while first < coefficients.len() {
        let count = rng.random_range(1..=coefficients.len() - first);
        let rows = &rows[first * SLOTS..(first + count) * SLOTS];
        parts[rng.random_range(0..2)].add(&limbs, |row| first + row, rows);
        first += count;
    }
    let [mut one, other] = parts;
    one.merge(other);
    one.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn a_right_product_passes_and_one_wrong_value_does_not(
        inputs in 1usize..40, patches in 1usize..30, taps in 0usize..20, seed in any::<u64>(),
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let map = map(inputs, patches, taps, &mut rng);
        let x: Vec<i32> = (0..inputs * SLOTS).map(|_| rng.random_range(-9000..9000)).collect();
        let tau = random(map.outputs(), &mut rng);
        let expected = sums(&project(&map, &tau), &x, &mut rng);
        let mut z = product(&map, &x);
        prop_assert_eq!(&sums(&tau, &z, &mut rng), &expected);
        let at = rng.random_range(0..z.len());
        for wrong in [1, -1, 1 << 30, i32::MIN] {
            z[at] = z[at].wrapping_add(wrong);
            let got = sums(&tau, &z, &mut rng);
            for slot in 0..SLOTS {
                prop_assert_eq!(got[slot] == expected[slot], slot != at % SLOTS);
            }
            z[at] = z[at].wrapping_sub(wrong);
        }
        // Of a single image.
        for slot in 0..SLOTS {
            let column = |rows: &[i32]| -> Vec<i32> {
                rows.chunks(SLOTS).map(|row| row[slot]).collect()
            };
            prop_assert_eq!(Limbs::new(&tau).dot(&column(&z)), expected[slot]);
        }
    }
}

/// The largest values there are, more of them than fit between two reductions.
#[test]
fn nothing_overflows() {
    for value in [i32::MIN, i32::MAX] {
        let coefficients = vec![PRIME - 1; 5000];
        let rows = vec![value; 5000 * SLOTS];
        let limbs = Limbs::new(&coefficients);
        let mut sums = SlotSums::new(SLOTS);
        sums.add(&limbs, |row| row, &rows);
        let expected = residue(-5000 * i128::from(value));
        assert!(sums.finish().iter().all(|sum| *sum == expected));
        assert_eq!(limbs.dot(&rows[..5000]), expected);
    }
}

#[test]
fn debug_shows_no_residues() {
    let limbs = Limbs::new(&[7_777_777; 3]);
    let mut sums = SlotSums::new(32);
    sums.add(&limbs, |row| row, &[1; 32]);
    assert!(!format!("{limbs:?} {sums:?}").contains("777"));
}
