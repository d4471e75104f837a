//! Evaluation keys: serialised, checked, refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::OnceLock;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_evaluation_keys::{
    EvaluationKeyError, EvaluationKeys, LookupKeys, MAX_KEY_BYTES, OneShotProfile, PackingKey,
};
use sphinx_secret::{RootKey, SecretKey};
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DecompositionBaseLog, DecompositionLevelCount, GlweCiphertextCount,
    GlweSize, LweDimension, PolynomialSize, SeededLweBootstrapKeyOwned, SeededLweKeyswitchKeyOwned,
};

const STANDARD: OneShotProfile = OneShotProfile::Standard;

fn keys() -> &'static (EvaluationKeys, Vec<u8>) {
    static KEYS: OnceLock<(EvaluationKeys, Vec<u8>)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(31);
        let key = SecretKey::generate(&mut rng).unwrap();
        let keys = key.evaluation_keys(STANDARD, &mut rng).unwrap();
        let bytes = keys.to_bytes().unwrap();
        (keys, bytes)
    })
}

fn lookup(keys: &EvaluationKeys) -> LookupKeys {
    keys.lookup().unwrap().clone()
}

#[test]
fn keys_that_only_pack_are_small_and_name_their_profile() {
    let mut rng = ChaCha20Rng::seed_from_u64(34);
    let key = SecretKey::generate(&mut rng).unwrap();
    let keys = key.evaluation_keys(OneShotProfile::Packing, &mut rng).unwrap();
    let bytes = keys.to_bytes().unwrap();
    assert!(bytes.len() < 400_000, "{}", bytes.len());
    let read = EvaluationKeys::from_bytes(&bytes).unwrap();
    assert!(read == keys, "other keys came back");
    assert_eq!((read.profile(), read.lookup().is_none()), (OneShotProfile::Packing, true));
    // Keys that say to be of a profile whose parts they do not have.
    let place = bytes.windows(7).position(|window| window == b"packing").unwrap();
    let mut other = bytes.clone();
    other.splice(place..place + 7, *b"standard");
    other[place - 8] = 8;
    let error = EvaluationKeys::from_bytes(&other).unwrap_err();
    assert_eq!(error, EvaluationKeyError::Parts { profile: "standard" });
}

#[test]
fn keys_are_read_back_and_stay_below_their_limits() {
    let (keys, bytes) = keys();
    assert!(bytes.len() <= MAX_KEY_BYTES, "{}", bytes.len());
    let read = EvaluationKeys::from_bytes(bytes).unwrap();
    assert!(read == *keys, "other keys came back");
    assert_eq!(format!("{keys:?}"), "EvaluationKeys { profile: Standard, .. }");
}

#[test]
fn rejects_keys_that_are_truncated_or_too_long() {
    let (_, bytes) = keys();
    for length in [0, 1, 40, bytes.len() / 2, bytes.len() - 1] {
        let error = EvaluationKeys::from_bytes(&bytes[..length]).unwrap_err();
        assert!(matches!(error, EvaluationKeyError::Format { .. }), "{length}: {error}");
    }
    let mut longer = bytes.clone();
    longer.extend([0; 3]);
    let error = EvaluationKeys::from_bytes(&longer).unwrap_err();
    assert_eq!(error, EvaluationKeyError::Trailing { got: 3 });
    longer.resize(MAX_KEY_BYTES + 1, 0);
    let error = EvaluationKeys::from_bytes(&longer).unwrap_err();
    assert_eq!(error, EvaluationKeyError::TooLong { got: MAX_KEY_BYTES + 1, limit: MAX_KEY_BYTES });
}

#[test]
fn rejects_keys_of_another_profile() {
    let (_, bytes) = keys();
    let place = bytes.windows(8).position(|window| window == b"standard").unwrap();
    let mut other = bytes.clone();
    other[place..][..8].copy_from_slice(b"stanDard");
    let error = EvaluationKeys::from_bytes(&other).unwrap_err();
    assert_eq!(error, EvaluationKeyError::Profile { got: "stanDard".into() });
}

#[test]
fn rejects_secret_keys_and_other_types_by_their_header() {
    let mut rng = ChaCha20Rng::seed_from_u64(32);
    let key = RootKey::generate(&mut rng);
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("secret.key");
    key.save(&path).unwrap();
    let secret = std::fs::read(&path).unwrap();
    let error = EvaluationKeys::from_bytes(&secret).unwrap_err();
    assert!(matches!(error, EvaluationKeyError::Format { .. }), "{error}");

    let (_, bytes) = keys();
    let name = b"sphinx_bootstrap::EvaluationKeys";
    let place = bytes.windows(name.len()).position(|window| window == name).unwrap();
    let mut other = bytes.clone();
    other[place..][..name.len()].copy_from_slice(b"sphinx_secret::LweSecretKeyOwned");
    let error = EvaluationKeys::from_bytes(&other).unwrap_err();
    assert!(error.to_string().contains("LweSecretKeyOwned"), "{error}");
}

#[test]
fn rejects_parts_of_other_dimensions_naming_got_and_expected() {
    let (keys, _) = keys();
    let native = CiphertextModulus::new_native();
    let bootstrapping = |n, base, levels, size, modulus| {
        SeededLweBootstrapKeyOwned::new(
            0u64,
            GlweSize(2),
            PolynomialSize(size),
            DecompositionBaseLog(base),
            DecompositionLevelCount(levels),
            LweDimension(n),
            Seed(1).into(),
            modulus,
        )
    };
    let other = CiphertextModulus::try_new_power_of_2(60).unwrap();
    for (key, field) in [
        (bootstrapping(758, 23, 1, 2048, native), "words"),
        (bootstrapping(759, 22, 1, 2048, native), "log2 of the base"),
        (bootstrapping(759, 23, 2, 2048, native), "levels"),
        (bootstrapping(759, 23, 1, 1024, native), "polynomial size"),
        (bootstrapping(759, 23, 1, 2048, other), "modulus"),
    ] {
        let lookup = LookupKeys { bootstrapping: key, ..lookup(keys) };
        let error = EvaluationKeys::new(Some(lookup), keys.packing().clone()).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
        assert!(error.to_string().contains("bootstrapping key"), "{error}");
    }
}

#[test]
fn rejects_key_switching_keys_of_other_dimensions_naming_got_and_expected() {
    let (keys, _) = keys();
    let native = CiphertextModulus::new_native();
    let other = CiphertextModulus::try_new_power_of_2(31).unwrap();
    let part = "key-switching key";
    for (base, levels, large, small, modulus, field, got, expected) in [
        (3, 7, 2048, 759, native, "log2 of the base", 3, 2),
        (2, 6, 2048, 759, native, "levels", 6, 7),
        (2, 8, 2048, 759, native, "levels", 8, 7),
        (2, 7, 1024, 759, native, "words", 7 * 1024, 7 * 2048),
        (2, 7, 2048, 758, native, "output dimension", 758, 759),
        (2, 7, 2048, 759, other, "modulus", 0, 0),
    ] {
        let switching = SeededLweKeyswitchKeyOwned::new(
            0u32,
            DecompositionBaseLog(base),
            DecompositionLevelCount(levels),
            LweDimension(large),
            LweDimension(small),
            Seed(1).into(),
            modulus,
        );
        let lookup = LookupKeys { key_switching: switching, ..lookup(keys) };
        let error = EvaluationKeys::new(Some(lookup), keys.packing().clone()).unwrap_err();
        match field {
            "modulus" => assert_names(&error, part, field),
            _ => assert_eq!(error, EvaluationKeyError::Shape { part, field, got, expected }),
        }
    }
}

#[test]
fn rejects_packing_keys_of_other_dimensions_naming_got_and_expected() {
    let (keys, _) = keys();
    let native = CiphertextModulus::new_native();
    let other = CiphertextModulus::try_new_power_of_2(60).unwrap();
    let part = "packing key";
    for (glwe, polynomial, count, modulus, field, got, expected) in [
        (3, 2048, 22, native, "GLWE dimension", 2, 1),
        (2, 1024, 22, native, "polynomial size", 1024, 2048),
        (2, 2048, 21, native, "words", 21 * 2048, 22 * 2048),
        (2, 2048, 33, native, "words", 33 * 2048, 22 * 2048),
        (2, 2048, 22, other, "modulus", 0, 0),
    ] {
        let (size, count) = (PolynomialSize(polynomial), GlweCiphertextCount(count));
        let packing = PackingKey::new(0, GlweSize(glwe), size, count, Seed(1).into(), modulus);
        for lookup in [Some(lookup(keys)), None] {
            let error = EvaluationKeys::new(lookup, packing.clone()).unwrap_err();
            match field {
                "modulus" => assert_names(&error, part, field),
                _ => assert_eq!(error, EvaluationKeyError::Shape { part, field, got, expected }),
            }
        }
    }
}

fn assert_names(error: &EvaluationKeyError, part: &str, field: &str) {
    let message = error.to_string();
    assert!(message.contains(part) && message.contains(field), "{message}");
}

/// Whatever stands where the sizes are, reading ends in keys or an error.
#[test]
fn damaged_headers_never_panic() {
    let (_, bytes) = keys();
    let mut rng = ChaCha20Rng::seed_from_u64(33);
    let mut refused = 0;
    let tail = bytes.len() - 60;
    for round in 0..80 {
        let mut damaged = bytes.clone();
        let place = if round % 4 == 3 {
            rng.random_range(tail..bytes.len())
        } else {
            rng.random_range(0..200)
        };
        damaged[place] ^= rng.random_range(1..=255u8);
        refused += usize::from(EvaluationKeys::from_bytes(&damaged).is_err());
    }
    assert!(refused > 20, "{refused}");
}
