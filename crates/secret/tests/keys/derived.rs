//! What is derived from a root: the same again, and different from everything else.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::{SLOTS, Seed, Width, expand_mask, noise_bound_log2, unpack};
use sphinx_secret::{ModelName, RootKey};

use crate::digits;

fn root(seed: u64) -> RootKey {
    RootKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

#[test]
fn every_call_of_generate_takes_fresh_bytes() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (first, second) = (RootKey::generate(&mut rng), RootKey::generate(&mut rng));
    assert_ne!(first.identity(), second.identity());
}

/// The bits of two derived GLWE keys decrypt what the other encrypted if and only if their roots
/// are the same.
#[test]
fn the_one_shot_key_is_always_the_same_of_one_root() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let message = vec![0u32; SLOTS];
    let rows = root(1).one_shot_key().unwrap().encrypt_rows(&message, Width::Four, &mut rng);
    let noise = |seed: u64| {
        let mut mask = vec![0u32; SLOTS];
        expand_mask(Seed(rows.seeds[..].try_into().unwrap()), &mut mask);
        let mut body = vec![0u32; SLOTS];
        unpack(&rows.bodies, Width::Four, &mut body);
        let key = root(seed).one_shot_key().unwrap();
        key.decrypt_words(&mask, &mut body, &mut vec![0; SLOTS]);
        body.iter().map(|word| word.cast_signed().unsigned_abs()).max().unwrap()
    };
    assert!(noise(1) <= 1 << noise_bound_log2(32));
    assert!(noise(2) > 1 << 28);
}

#[test]
fn purposes_identities_and_read_keys_are_apart() {
    let root = root(1);
    let name = |tenant: &str, model: &str, incarnation| ModelName {
        tenant: tenant.to_owned(),
        model: model.to_owned(),
        incarnation,
    };
    // The border between tenant and model is part of the name.
    let names =
        [digits(), name("ac", "medigits", digits().incarnation), name("acme", "x", [0; 16])];
    let mut seen = vec![root.identity().0, *root.derive("identity"), *root.derive("")];
    let mut challenges = Vec::new();
    for name in &names {
        challenges.push(root.read_key(name).challenge(1, 0, 4).to_vec());
    }
    challenges.push(root.read_key(&names[0]).challenge(0, 1, 4).to_vec());
    challenges.push(root.read_key(&names[0]).challenge(1 << 32, 0, 4).to_vec());
    seen.sort_unstable();
    seen.dedup();
    challenges.sort_unstable();
    challenges.dedup();
    assert_eq!((seen.len(), challenges.len()), (3, 5));
}

#[test]
fn debug_names_the_model_alone() {
    let shown = format!("{:?}", root(1).read_key(&digits()));
    assert!(shown.starts_with("ReadKey { model: ModelName"), "{shown}");
    assert!(shown.ends_with(", .. }"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn challenges_are_below_the_prime_and_begin_alike(
        seed: u64, version: u64, stage: u32, count in 0usize..200,
    ) {
        let key = root(seed).read_key(&digits());
        let numbers = key.challenge(version, stage, count);
        prop_assert_eq!(numbers.len(), count);
        prop_assert!(numbers.iter().all(|&number| number < (1 << 61) - 1));
        let longer = key.challenge(version, stage, count + 1);
        prop_assert_eq!(&longer[..count], &numbers[..]);
        let other = key.challenge(version.wrapping_add(1), stage, 3);
        prop_assert_ne!(&other[..], &key.challenge(version, stage, 3)[..]);
    }
}

/// The mean and the bits of many numbers are those of a uniform distribution, within six standard
/// errors.
#[test]
fn challenges_look_uniform() {
    let count = 1 << 16;
    let numbers = root(5).read_key(&digits()).challenge(3, 1, count);
    for bit in 0..61 {
        let ones = numbers.iter().filter(|&&number| number >> bit & 1 == 1).count() as f64;
        let half = count as f64 / 2.0;
        assert!((ones - half).abs() < 6.0 * (count as f64 / 4.0).sqrt(), "bit {bit}: {ones}");
    }
}
