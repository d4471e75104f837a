//! Encrypted biases: storing, adding, and scaling to a stage's results.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sphinx_linalg::{
    BIAS_WIDTH, BiasError, CipherMatrix, EncryptedBiases, Group, LinearMap, POLYNOMIAL_SIZE,
    PackedMap, Patch, ROW_WORDS, SEED_BYTES, Seed, bias_scale_step, expand_mask, unpack,
};

const BODY: usize = POLYNOMIAL_SIZE * 6;

/// Seeds and bodies of some changes.
fn changes(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut seeds, mut bodies) = (vec![0; count * SEED_BYTES], vec![0; count * BODY]);
    rng.fill_bytes(&mut seeds);
    rng.fill_bytes(&mut bodies);
    (seeds, bodies)
}

/// The words that a seeded change stands for.
fn expanded((seeds, bodies): &(Vec<u8>, Vec<u8>)) -> Vec<u64> {
    let mut words = vec![0; seeds.len() / SEED_BYTES * ROW_WORDS];
    for (index, row) in words.chunks_exact_mut(ROW_WORDS).enumerate() {
        let (mask, body) = row.split_at_mut(POLYNOMIAL_SIZE);
        expand_mask(Seed(*seeds[index * SEED_BYTES..].first_chunk().unwrap()), mask);
        unpack(&bodies[index * BODY..][..BODY], BIAS_WIDTH, body);
    }
    words
}

fn words(biases: &EncryptedBiases) -> Vec<u64> {
    (0..biases.len()).flat_map(|bias| biases.row(bias).to_vec()).collect()
}

#[test]
fn additions_add_up_modulo_2_64() {
    let mut biases = EncryptedBiases::zero(5);
    let (all, some) = (changes(5, 1), changes(2, 2));
    biases.add_seeded(0, &all.0, &all.1).unwrap();
    biases.add_seeded(3, &some.0, &some.1).unwrap();
    biases.add_seeded(5, &[], &[]).unwrap();
    let mut expected = expanded(&all);
    for (word, add) in expected[3 * ROW_WORDS..].iter_mut().zip(expanded(&some)) {
        *word = word.wrapping_add(add);
    }
    assert!(words(&biases) == expected);
}

#[test]
fn storing_rounds_to_the_top_48_bits_once() {
    let mut biases = EncryptedBiases::zero(3);
    let change = changes(3, 1);
    biases.add_seeded(0, &change.0, &change.1).unwrap();
    let bytes = biases.to_bytes();
    assert_eq!(bytes.len(), 3 * ROW_WORDS * 6);
    let stored = EncryptedBiases::from_bytes(&bytes, 3).unwrap();
    for (stored, word) in words(&stored).iter().zip(words(&biases)) {
        assert_eq!(stored % (1 << 16), 0);
        assert!(stored.wrapping_sub(word).cast_signed().unsigned_abs() <= 1 << 15);
    }
    assert_eq!(stored.to_bytes(), bytes);
    assert_eq!(EncryptedBiases::from_bytes(&stored.to_bytes(), 3).unwrap(), stored);
    let zero = EncryptedBiases::zero(2);
    assert!(zero.to_bytes().iter().all(|byte| *byte == 0) && !zero.is_empty());
    assert!(EncryptedBiases::from_bytes(&[], 0).unwrap().is_empty());
}

#[test]
fn rejects_wrong_lengths_and_ranges_and_changes_nothing() {
    let (seeds, bodies) = changes(2, 1);
    let mut biases = EncryptedBiases::zero(3);
    let length = |seeds, bodies| BiasError::Length { seeds, bodies };
    let range = |first, end| BiasError::OutOfRange { first, end, count: 3 };
    let cases = [
        (0, &seeds[..31], &bodies[..], length(31, 2 * BODY)),
        (0, &seeds[..16], &bodies[..], length(16, 2 * BODY)),
        (0, &seeds[..], &bodies[1..], length(32, 2 * BODY - 1)),
        (0, &seeds[..0], &bodies[..1], length(0, 1)),
        (2, &seeds[..], &bodies[..], range(2, 4)),
        (3, &seeds[..16], &bodies[..BODY], range(3, 4)),
        (4, &seeds[..0], &bodies[..0], range(4, 4)),
        (usize::MAX, &seeds[..], &bodies[..], range(usize::MAX, usize::MAX)),
    ];
    for (first, seeds, bodies, expected) in cases {
        assert_eq!(biases.add_seeded(first, seeds, bodies), Err(expected));
        assert_eq!(biases, EncryptedBiases::zero(3));
    }
    let whole = biases.to_bytes();
    for got in [0, 1, whole.len() - 1] {
        let error = BiasError::StoredLength { got, expected: whole.len() };
        assert_eq!(EncryptedBiases::from_bytes(&whole[..got], 3).unwrap_err(), error);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A bias b at the scale of a result is round(word · factor / 2^32) modulo 2^32 with factor =
    /// scale / step, so that a message of b · 2^48 becomes b · scale exactly.
    #[test]
    fn scaling_is_exact(
        factors in proptest::collection::vec(1u64..1 << 26, 1..4),
        rows_per_channel in 1usize..4,
        seed in any::<u64>(),
    ) {
        let count = factors.len();
        let mut biases = EncryptedBiases::zero(count);
        let change = changes(count, seed);
        biases.add_seeded(0, &change.0, &change.1).unwrap();
        let scales: Vec<f64> =
            factors.iter().map(|factor| *factor as f64 * bias_scale_step()).collect();
        let scaled = biases.at_scales(&scales);

        let outputs = count * rows_per_channel;
        let patches: Arc<[Patch]> =
            (0..outputs as u32).map(|row| Patch { gather: vec![], scatter: vec![row] }).collect();
        let group = Group { taps: 0, rows: 1, weights: vec![], patches };
        let map = LinearMap::new(1, outputs, vec![group]).unwrap();
        let map = PackedMap::<u32>::new(map);
        let zero = CipherMatrix::from_rows(&[0; ROW_WORDS]);
        for unit in map.units() {
            let mut rows = map.evaluate(&unit, &zero).unwrap();
            // Added twice, as it must be an addition.
            scaled.add_to(&mut rows, rows_per_channel);
            scaled.add_to(&mut rows, rows_per_channel);
            for (row, words) in rows.rows.iter().zip(rows.words.chunks_exact(ROW_WORDS)) {
                let channel = *row as usize / rows_per_channel;
                for (word, bias) in words.iter().zip(biases.row(channel)) {
                    let product = u128::from(*bias) * u128::from(factors[channel]);
                    let rounded = ((product + (1 << 31)) >> 32) as u32;
                    prop_assert_eq!(*word, rounded.wrapping_mul(2));
                }
            }
        }
    }
}

/// Biases of plain numbers (masks zero) come out as number times scale.
#[test]
fn a_bias_becomes_its_value_at_the_results_scale() {
    let grid = f64::from(1 << 16);
    let values = [0.0, 1.0, -1.0, 3.999_984_741_210_937_5, -4.0, 1.0 / grid];
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(vec![0; BODY]);
        // The top 48 bits of value * 2^48, as a plane of 4-byte and one of 2-byte pieces.
        let top = ((value * grid * grid) as i64).cast_unsigned();
        bytes.extend((0..POLYNOMIAL_SIZE).flat_map(|_| ((top >> 16) as u32).to_le_bytes()));
        bytes.extend((0..POLYNOMIAL_SIZE).flat_map(|_| (top as u16).to_le_bytes()));
    }
    let biases = EncryptedBiases::from_bytes(&bytes, values.len()).unwrap();
    let scale = bias_scale_step() * 3.0;
    let scaled = biases.at_scales(&[scale; 6]);
    let patch = Patch { gather: vec![], scatter: (0..6).collect() };
    let group = Group { taps: 0, rows: 6, weights: vec![], patches: [patch].into() };
    let map = PackedMap::<u32>::new(LinearMap::new(0, 6, vec![group]).unwrap());
    let mut rows = map.evaluate(&map.units()[0], &CipherMatrix::from_rows(&[])).unwrap();
    scaled.add_to(&mut rows, 1);
    for (value, words) in values.iter().zip(rows.words.chunks_exact(ROW_WORDS)) {
        let (mask, body) = words.split_at(POLYNOMIAL_SIZE);
        assert!(mask.iter().all(|word| *word == 0));
        let expected = (value * scale) as i64 as u32;
        assert!(body.iter().all(|word| *word == expected), "{value}");
    }
    assert!(!format!("{biases:?} {scaled:?}").contains("words"));
}
