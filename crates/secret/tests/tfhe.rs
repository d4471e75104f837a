//! Ciphertexts of this crate are tfhe's: each side decrypts what the other encrypted.
#![allow(clippy::unwrap_used, reason = "tests")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::{
    POLYNOMIAL_SIZE, ROW_WORDS, Seed, Width, Word, expand_mask, noise_bound_log2, unpack,
};
use sphinx_secret::SecretKey;
use tfhe::core_crypto::commons::generators::EncryptionRandomGenerator;
use tfhe::core_crypto::commons::math::random::{CompressionSeed, Uniform};
use tfhe::core_crypto::prelude::*;

struct Keys<W: UnsignedInteger> {
    ours: SecretKey,
    theirs: GlweSecretKeyOwned<W>,
}

fn keys<W: UnsignedInteger + From<u8>>(rng: &mut ChaCha20Rng) -> Keys<W> {
    let bits: Vec<u8> = (0..POLYNOMIAL_SIZE).map(|_| (rng.next_u32() & 1) as u8).collect();
    let words: Vec<W> = bits.iter().map(|&bit| W::from(bit)).collect();
    Keys {
        ours: SecretKey::from_coefficients(&bits).unwrap(),
        theirs: GlweSecretKey::from_container(words, PolynomialSize(POLYNOMIAL_SIZE)),
    }
}

fn worst<W: Word>(phase: &[W], message: &[W]) -> u64 {
    let error = |(p, m): (&W, &W)| {
        W::from_u64(p.to_u64().wrapping_sub(m.to_u64())).to_signed().unsigned_abs()
    };
    phase.iter().zip(message).map(error).max().unwrap()
}

/// A ciphertext of ours, in full and as tfhe's seeded form, decrypts under tfhe.
fn ours_to_theirs<W>(width: Width)
where
    W: Word + UnsignedTorus + From<u8> + Encryptable<Uniform, TUniform<W>>,
{
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let Keys { ours, theirs } = keys::<W>(&mut rng);
    let message: Vec<W> =
        (0..POLYNOMIAL_SIZE).map(|_| <W as Word>::from_u64(rng.next_u64())).collect();
    let rows = ours.encrypt_rows(&message, width, &mut rng);
    let seed: [u8; 16] = rows.seeds.as_slice().try_into().unwrap();
    let mut words = vec![<W as Default>::default(); ROW_WORDS];
    let (mask, body) = words.split_at_mut(POLYNOMIAL_SIZE);
    expand_mask(Seed(seed), mask);
    unpack(&rows.bodies, width, body);

    let size = PolynomialSize(POLYNOMIAL_SIZE);
    let modulus = CiphertextModulus::new_native();
    let seeded = SeededGlweCiphertext::from_container(
        body.to_vec(),
        GlweSize(2),
        CompressionSeed::from(tfhe::core_crypto::commons::math::random::Seed(u128::from_le_bytes(
            seed,
        ))),
        modulus,
    );
    let full = GlweCiphertext::from_container(words, size, modulus);
    assert_eq!(full, seeded.decompress_into_glwe_ciphertext());
    let mut phase = PlaintextList::new(<W as Default>::default(), PlaintextCount(POLYNOMIAL_SIZE));
    decrypt_glwe_ciphertext(&theirs, &full, &mut phase);
    let rounding = width.step::<W>() as u64 / 2;
    assert!(
        worst(phase.as_ref(), &message) <= (1 << noise_bound_log2(<W as Word>::BITS)) + rounding
    );
}

/// A ciphertext of tfhe, seeded or not, decrypts under our key.
fn theirs_to_ours<W>()
where
    W: Word + UnsignedTorus + From<u8> + Encryptable<Uniform, TUniform<W>>,
{
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let Keys { ours, theirs } = keys::<W>(&mut rng);
    let message: Vec<W> =
        (0..POLYNOMIAL_SIZE).map(|_| <W as Word>::from_u64(rng.next_u64())).collect();
    let mut seeder = new_seeder();
    let mut generator =
        EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder.as_mut());
    let mut ciphertext = GlweCiphertext::new(
        <W as Default>::default(),
        GlweSize(2),
        PolynomialSize(POLYNOMIAL_SIZE),
        CiphertextModulus::new_native(),
    );
    let bound = noise_bound_log2(<W as Word>::BITS);
    encrypt_glwe_ciphertext(
        &theirs,
        &mut ciphertext,
        &PlaintextList::from_container(message.clone()),
        TUniform::<W>::new(bound),
        &mut generator,
    );
    let (mask, body) = ciphertext.as_ref().split_at(POLYNOMIAL_SIZE);
    let mut phase = body.to_vec();
    ours.decrypt_words(mask, &mut phase, &mut vec![0; POLYNOMIAL_SIZE]);
    assert!(worst(&phase, &message) <= 1 << bound);
}

#[test]
fn ours_decrypt_under_tfhe() {
    ours_to_theirs::<u32>(Width::Four);
    ours_to_theirs::<u64>(Width::Six);
}

#[test]
fn theirs_decrypt_under_ours() {
    theirs_to_ours::<u32>();
    theirs_to_ours::<u64>();
}
