//! Sealed bytes open in their place under their key, and nowhere else.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_secret::{ModelName, ReadKey, RootKey, SealError};

use crate::digits;

fn key() -> ReadKey {
    RootKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).read_key(&digits())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_sealed_opens(place: Vec<u8>, plain: Vec<u8>, seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let sealed = key().seal(&place, &plain, &mut rng);
        prop_assert_eq!(sealed.len(), 1 + 24 + plain.len() + 16);
        prop_assert_eq!(&key().open(&place, &sealed).unwrap()[..], &plain[..]);
        // A nonce of its own every time.
        prop_assert_ne!(key().seal(&place, &plain, &mut rng), sealed);
    }

    #[test]
    fn rejects_any_other_place_and_any_change(
        place: Vec<u8>, plain in prop::collection::vec(any::<u8>(), 0..40), at: prop::sample::Index,
        flip in 1u8..=255,
    ) {
        let sealed = key().seal(&place, &plain, &mut ChaCha20Rng::seed_from_u64(2));
        let elsewhere = [place.as_slice(), &[0]].concat();
        prop_assert_eq!(key().open(&elsewhere, &sealed), Err(SealError::Refused));
        let index = at.index(sealed.len());
        let mut changed = sealed.clone();
        changed[index] ^= flip;
        let refused = key().open(&place, &changed).unwrap_err();
        let expected = match index {
            0 => SealError::Version { got: 1 ^ flip, expected: 1 },
            _ => SealError::Refused,
        };
        prop_assert_eq!(refused, expected);
        let refused = key().open(&place, &sealed[..index]).unwrap_err();
        let short = matches!(refused, SealError::Short { .. });
        prop_assert_eq!(short, index < 1 + 24 + 16);
    }
}

#[test]
fn rejects_the_keys_of_other_models_and_roots() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let sealed = key().seal(b"place", b"secret", &mut rng);
    let again = ModelName { incarnation: [9; 16], ..digits() };
    let mut same_rng = ChaCha20Rng::seed_from_u64(1);
    let deleted = RootKey::generate(&mut same_rng).read_key(&again);
    assert_eq!(deleted.open(b"place", &sealed), Err(SealError::Refused));
    let other = RootKey::generate(&mut rng).read_key(&digits());
    assert_eq!(other.open(b"place", &sealed), Err(SealError::Refused));
}
