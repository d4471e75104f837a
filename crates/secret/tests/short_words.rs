//! Ciphertexts with words of 24 bits and keys of 1024 coefficients: tfhe's own, two bodies per
//! block, and products that are exact and checked like those of whole words.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, project, random};
use sphinx_linalg::{
    Group, LinearMap, PackedMap, Patch, Profile, SLOTS, Seed, Upload, Width, expand_mask, pack,
    unpack,
};
use sphinx_secret::{BlockKeys, SharedRows, Tally};
use tfhe::core_crypto::prelude::*;

const PROFILE: Profile = Profile::Glwe1024T24;
const N: usize = 1024;
const HALF: usize = 3 * N;
const NOISE: i32 = 16;

/// Packed words as they lie in 32 bits: at the top.
fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0; bytes.len() / 3];
    let halves = words.chunks_exact_mut(N).zip(bytes.chunks_exact(HALF));
    halves.for_each(|(words, bytes)| unpack(bytes, Width::Three, words));
    words
}

fn mask(seed: [u8; 16]) -> Vec<u32> {
    let mut mask = vec![0u32; N];
    expand_mask(Seed(seed), &mut mask);
    mask.iter_mut().for_each(|word| *word &= !0xff);
    mask
}

fn encrypt(keys: &BlockKeys, messages: &[i32], tally: &mut Tally, seed: u64) -> SharedRows {
    let slots = keys.slots();
    let fill = |row: usize, values: &mut [i32]| {
        values.copy_from_slice(&messages[row * slots..][..slots]);
    };
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut noise: Vec<_> = (0..keys.blocks()).map(|_| ChaCha20Rng::from_rng(&mut rng)).collect();
    keys.encrypt_rows((0, messages.len() / slots), (&mut rng, &mut noise), fill, tally)
}

/// Integers of all rows, and the sums of the tally.
fn decrypt(keys: &BlockKeys, halves: (&[u8], &[u8]), tau: &[u64]) -> (Vec<i32>, Vec<u64>) {
    let (slots, rows) = (keys.slots(), tau.len());
    let mut tally = Tally::new(Limbs::new(tau), keys.blocks());
    let values = Mutex::new(vec![0; rows * slots]);
    let numbers: Vec<u32> = (0..rows as u32).collect();
    let place = |row: u32, (), integers: &[i32]| {
        values.lock().unwrap()[row as usize * slots..][..slots].copy_from_slice(integers);
    };
    keys.decrypt_rows(halves, &numbers, vec![(); rows], &mut tally, place).unwrap();
    (values.into_inner().unwrap(), tally.finish())
}

fn messages(rows: usize, slots: usize, rng: &mut ChaCha20Rng) -> Vec<i32> {
    (0..rows * slots).map(|_| rng.random_range(-(1 << 10)..=1 << 10)).collect()
}

/// A dense map whose results stay below 2^23.
fn map(inputs: usize, outputs: usize, rng: &mut ChaCha20Rng) -> LinearMap {
    let most = (1 << 23) / (((1 << 10) + NOISE) * inputs as i32) - 1;
    let weights = (0..inputs * outputs).map(|_| rng.random_range(-most..=most)).collect();
    let (gather, scatter) = ((0..inputs as u32).collect(), (0..outputs as u32).collect());
    let patches = Arc::new([Patch { gather, scatter }]);
    let group = Group { taps: inputs, rows: outputs, weights, patches };
    LinearMap::new(inputs, outputs, vec![group]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_mask_and_body_is_a_ciphertext_of_tfhe_modulo_2_to_24(blocks in 1usize..4, seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let bits: Vec<u8> = (0..blocks * SLOTS).map(|_| rng.random_range(0..2)).collect();
        let keys = BlockKeys::from_coefficients(PROFILE, &bits).unwrap();
        prop_assert_eq!((keys.blocks(), keys.slots()), (blocks, blocks * SLOTS));
        let messages = messages(2, keys.slots(), &mut rng);
        let mut tally = Tally::new(Limbs::new(&[0; 2]), blocks);
        let sent = encrypt(&keys, &messages, &mut tally, seed);
        prop_assert_eq!(sent.bodies.len(), 2 * 3 * keys.slots());
        let bodies = words(&sent.bodies);
        let modulus = CiphertextModulus::<u32>::try_new_power_of_2(24).unwrap();
        let halves = bodies.chunks_exact(N).zip(messages.chunks_exact(N)).enumerate();
        for (index, (body, messages)) in halves {
            let row = index / (2 * blocks);
            let key = &bits[index % (2 * blocks) * N..][..N];
            let key = key.iter().map(|&bit| u32::from(bit)).collect::<Vec<_>>();
            let key = GlweSecretKey::from_container(key, PolynomialSize(N));
            let mask = mask(sent.seeds[16 * row..][..16].try_into().unwrap());
            let words = [&mask, body].concat();
            let ciphertext =
                GlweCiphertext::from_container(words, PolynomialSize(N), modulus);
            let mut phase = PlaintextList::new(0, PlaintextCount(N));
            decrypt_glwe_ciphertext(&key, &ciphertext, &mut phase);
            for (phase, message) in phase.as_ref().iter().zip(messages) {
                // tfhe brings it down to the integers modulo 2^24.
                prop_assert_eq!(phase >> 24, 0);
                let noise = ((phase << 8).cast_signed() >> 8) - message;
                prop_assert!(noise.abs() <= NOISE, "noise {}", noise);
            }
        }
    }

    #[test]
    fn a_product_is_exact_and_a_wrong_one_shows(
        blocks in 1usize..3, inputs in 2usize..40, outputs in 1usize..12, seed: u64,
        at: prop::sample::Index, bit in 0u32..8,
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let keys = BlockKeys::generate(PROFILE, blocks, &mut rng).unwrap();
        let map = map(inputs, outputs, &mut rng);
        let messages = messages(inputs, keys.slots(), &mut rng);
        let tau = random(outputs, &mut rng);
        let mut tally = Tally::new(Limbs::new(&project(&map, &tau)), blocks);
        let rows = encrypt(&keys, &messages, &mut tally, seed);
        let expected = tally.finish();

        let mut upload = Upload::of(PROFILE, inputs, blocks);
        upload.push(0, &rows.seeds, &rows.bodies).unwrap();
        let matrix = upload.finish().unwrap();
        prop_assert_eq!(matrix.columns(), N + blocks * SLOTS);
        let packed = PackedMap::new(map.clone());
        let (mut masks, mut bodies) = (vec![0; outputs * HALF], vec![0; outputs * 3 * keys.slots()]);
        for unit in packed.units(matrix.columns()) {
            let results = packed.evaluate(&unit, &matrix).unwrap();
            let words = results.words.chunks_exact(results.columns);
            for (&row, words) in results.rows.iter().zip(words) {
                let (mask, rest) = words.split_at(N);
                pack(mask, Width::Three, &mut masks[row as usize * HALF..][..HALF]);
                let own = &mut bodies[row as usize * 3 * keys.slots()..][..3 * keys.slots()];
                for (words, bytes) in rest.chunks_exact(N).zip(own.chunks_exact_mut(HALF)) {
                    pack(words, Width::Three, bytes);
                }
            }
        }
        let (values, sums) = decrypt(&keys, (&masks, &bodies), &tau);
        prop_assert!(sums == expected);
        // The integers are those of the messages to within the noise that came with them.
        let most: i64 = map.groups()[0].weights.iter().map(|w| i64::from(w.abs())).sum();
        for slot in [0, N - 1, N, keys.slots() - 1] {
            for (row, weights) in map.groups()[0].weights.chunks_exact(inputs).enumerate() {
                let clear: i64 = weights.iter().enumerate()
                    .map(|(j, &w)| i64::from(w) * i64::from(messages[j * keys.slots() + slot])).sum();
                let got = i64::from(values[row * keys.slots() + slot]);
                prop_assert!((got - clear).abs() <= most * i64::from(NOISE));
            }
        }
        // One bit of one body: in its slot and no other.
        let mut wrong = bodies.clone();
        let byte = at.index(wrong.len());
        wrong[byte] ^= 1 << bit;
        let (_, sums) = decrypt(&keys, (&masks, &wrong), &tau);
        let slots = sums.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        prop_assert_eq!(slots, 1);
        // One bit of a mask: where a key has a one.
        let mut wrong = masks.clone();
        let byte = at.index(wrong.len());
        wrong[byte] ^= 1 << bit;
        let (_, sums) = decrypt(&keys, (&wrong, &bodies), &tau);
        let slots = sums.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        prop_assert!((0.4..0.6).contains(&(slots as f64 / keys.slots() as f64)), "{}", slots);
    }
}
