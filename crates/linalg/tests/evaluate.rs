//! Products on ciphertext words against the definition, modulo 2^32 and 2^64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sphinx_linalg::{
    CipherMatrix, Group, LinearMap, POLYNOMIAL_SIZE, PackedMap, Patch, ROW_WORDS, RowCountError,
    Word,
};

/// Sizes of a group: patches, rows of a patch, taps of a patch.
type Sizes = (usize, usize, usize);

/// A map of these groups whose patches gather anywhere and scatter to shuffled rows.
fn random_map(inputs: usize, groups: &[Sizes], rng: &mut ChaCha8Rng) -> LinearMap {
    let outputs: usize = groups.iter().map(|(patches, rows, _)| patches * rows).sum();
    let mut free: Vec<u32> = (0..outputs as u32).collect();
    let mut groups_of_map = Vec::new();
    for &(patches, rows, taps) in groups {
        let patches: Arc<[Patch]> = (0..patches)
            .map(|_| Patch {
                gather: (0..taps).map(|_| rng.random_range(0..inputs as u32)).collect(),
                scatter: (0..rows)
                    .map(|_| free.swap_remove(rng.random_range(0..free.len())))
                    .collect(),
            })
            .collect();
        let weight = |rng: &mut ChaCha8Rng| match rng.random_range(0..8) {
            0 => i32::MIN,
            1 => i32::MAX,
            2 => 0,
            _ => rng.random(),
        };
        let weights = (0..rows * taps).map(|_| weight(rng)).collect();
        groups_of_map.push(Group { taps, rows, weights, patches });
    }
    LinearMap::new(inputs, outputs, groups_of_map).unwrap()
}

/// The definition: out\[scatter\[r\]\] = Σ_t weights\[r\]\[t\] · in\[gather\[t\]\], word by word,
/// modulo 2^64; the low bits of that are the sum modulo 2^32.
fn defined<W: Word>(map: &LinearMap, words: &[W], columns: usize) -> Vec<W> {
    let mut out = vec![W::default(); map.outputs() * columns];
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (row, &to) in patch.scatter.iter().enumerate() {
                for column in 0..columns {
                    let taps = patch.gather.iter().zip(&group.weights[row * group.taps..]);
                    let sum = taps.fold(0u64, |sum, (&from, &weight)| {
                        let word = words[from as usize * columns + column].to_u64();
                        let weight = i64::from(weight).cast_unsigned();
                        sum.wrapping_add(word.wrapping_mul(weight))
                    });
                    out[to as usize * columns + column] = W::from_u64(sum);
                }
            }
        }
    }
    out
}

/// All units of the map put together; fails if a row is missing or comes twice.
fn evaluated<W: Word>(map: &PackedMap<W>, inputs: &CipherMatrix<W>) -> Vec<W> {
    let mut out = vec![None; map.map().outputs()];
    for unit in map.units(inputs.columns()) {
        let unit = map.evaluate(&unit, inputs).unwrap();
        // In one message, and those hold 4 MiB.
        assert!(size_of_val(&unit.words[..]) < 4 << 20, "{} rows", unit.rows.len());
        assert_eq!(unit.words.len(), unit.rows.len() * inputs.columns());
        for (&row, words) in unit.rows.iter().zip(unit.words.chunks_exact(inputs.columns())) {
            assert!(out[row as usize].replace(words.to_vec()).is_none(), "row {row} twice");
        }
    }
    out.into_iter().flat_map(|row| row.expect("a row is missing")).collect()
}

fn check<W: Word>(inputs: usize, groups: &[Sizes], bodies: usize, seed: u64)
where
    rand::distr::StandardUniform: rand::distr::Distribution<W>,
{
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let map = random_map(inputs, groups, &mut rng);
    let columns = (1 + bodies) * POLYNOMIAL_SIZE;
    let words: Vec<W> = (0..inputs * columns).map(|_| rng.random()).collect();
    let got = evaluated(&PackedMap::new(map.clone()), &CipherMatrix::from_rows(&words, bodies));
    assert!(got == defined(&map, &words, columns), "{groups:?} on {inputs} inputs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn agrees_with_the_definition(
        inputs in 1usize..20,
        groups in proptest::collection::vec((0usize..12, 1usize..20, 0usize..30), 0..4),
        bodies in 1usize..4,
        seed in any::<u64>(),
    ) {
        check::<u32>(inputs, &groups, bodies, seed);
        check::<u64>(inputs, &groups, bodies, seed);
    }
}

#[test]
fn agrees_at_the_edges_of_panels_and_units() {
    for groups in [
        // Rows below, at and above a panel of eight and a unit of 64.
        vec![(1, 1, 3)],
        vec![(1, 8, 3)],
        vec![(1, 9, 3)],
        vec![(1, 64, 3)],
        vec![(1, 65, 3)],
        vec![(1, 128, 3)],
        vec![(1, 129, 3)],
        vec![(1, 300, 3)],
        // Patches below, at and above what fits a unit.
        vec![(7, 8, 2), (8, 8, 2), (9, 8, 2)],
        vec![(65, 1, 1), (3, 33, 5)],
        // Nothing to add up.
        vec![(3, 5, 0)],
        vec![],
    ] {
        check::<u32>(5, &groups, 1, 1);
        check::<u64>(5, &groups, 2, 2);
    }
}

#[test]
fn rejects_a_matrix_of_another_height() {
    let map = random_map(4, &[(1, 3, 2)], &mut ChaCha8Rng::seed_from_u64(1));
    let map = PackedMap::<u32>::new(map);
    let unit = &map.units(ROW_WORDS)[0];
    for rows in [0, 3, 5] {
        let matrix = CipherMatrix::from_rows(&vec![0; rows * ROW_WORDS], 1);
        let error = RowCountError { got: rows, expected: 4 };
        assert_eq!(map.evaluate(unit, &matrix).unwrap_err(), error);
    }
}

#[test]
fn debug_shows_no_words() {
    let map = random_map(1, &[(1, 1, 1)], &mut ChaCha8Rng::seed_from_u64(1));
    let map = PackedMap::<u32>::new(map);
    let matrix = CipherMatrix::from_rows(&[77_777; ROW_WORDS], 1);
    let rows = map.evaluate(&map.units(ROW_WORDS)[0], &matrix).unwrap();
    assert!(!format!("{matrix:?} {rows:?}").contains("77777"));
}
