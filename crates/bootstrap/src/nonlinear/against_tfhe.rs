//! The same words come out as of tfhe's own key switch and blind rotation, whatever the keys:
//! random words will do.

use std::sync::atomic::AtomicBool;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_evaluation_keys::{EvaluationKeys, LookupKeys, OneShotProfile, PackingKey};
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::*;

use super::*;

fn random_keys(rng: &mut ChaCha20Rng) -> EvaluationKeys {
    let profile = OneShotProfile::Standard;
    let parameters = profile.parameters();
    let (small, size) = (LweDimension(parameters.small_dimension), PolynomialSize(2048));
    let native = CiphertextModulus::new_native();
    let gadget = parameters.bootstrapping;
    let mut bootstrapping = SeededLweBootstrapKeyOwned::new(
        0u64,
        GlweSize(2),
        size,
        gadget.base(),
        gadget.level_count(),
        small,
        Seed(rng.random()).into(),
        native,
    );
    rng.fill(bootstrapping.as_mut());
    let gadget = parameters.key_switching;
    let mut key_switching = SeededLweKeyswitchKeyOwned::new(
        0u32,
        gadget.base(),
        gadget.level_count(),
        LweDimension(2048),
        small,
        Seed(rng.random()).into(),
        CiphertextModulus::new_native(),
    );
    rng.fill(key_switching.as_mut());
    let count = parameters.automorphisms() * parameters.packing.levels;
    let count = GlweCiphertextCount(count);
    let packing = PackingKey::new(0, GlweSize(2), size, count, Seed(3).into(), native);
    let lookup = LookupKeys { bootstrapping, key_switching };
    EvaluationKeys::new(Some(lookup), packing).unwrap()
}

#[test]
fn key_switch_and_blind_rotation_are_tfhes() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let keys = random_keys(&mut rng);
    let prepared = PreparedKeys::new(&keys);
    assert!(prepared.bytes() < 100 << 20, "{}", prepared.bytes());
    let going_on = AtomicBool::new(false);
    let control = Control::new(&going_on, &|_| ());
    let mut samples = Samples::zero(11);
    rng.fill(samples.words_mut());
    let mut table = vec![0u64; 2048];
    rng.fill(&mut table[..]);
    let switched = switch_keys(&prepared, &samples, &control).unwrap();
    let looked_up = look_up(&prepared, &switched, &table, &control).unwrap();

    let key = keys.lookup().unwrap().key_switching.clone().decompress_into_lwe_keyswitch_key();
    let size = keys.profile().parameters().small_dimension + 1;
    let stride = switched.words.len() / 11;
    let fft = Fft::new(PolynomialSize(2048));
    let mut buffers = ComputationBuffers::new();
    buffers.resize(1 << 20);
    for (index, sample) in samples.iter().enumerate() {
        let native = CiphertextModulus::<u64>::new_native();
        let sample = LweCiphertext::from_container(sample, native);
        let small = CiphertextModulus::<u32>::new_native();
        let mut expected = LweCiphertext::new(0u32, LweSize(size), small);
        keyswitch_lwe_ciphertext_with_scalar_change(&key, &sample, &mut expected);
        assert_eq!(switched.words[index * stride..][..size], *expected.as_ref());

        let rounded =
            lwe_ciphertext_centered_binary_modulus_switch(expected, CiphertextModulusLog(12));
        let mut accumulator = GlweCiphertext::new(0u64, GlweSize(2), PolynomialSize(2048), native);
        accumulator.get_mut_body().as_mut().copy_from_slice(&table);
        let key = prepared.lookup().unwrap().bootstrapping();
        key.blind_rotate_assign(
            accumulator.as_mut_view(),
            &rounded,
            fft.as_view(),
            buffers.stack(),
        );
        let mut expected = LweCiphertext::new(0u64, LweSize(2049), native);
        extract_lwe_sample_from_glwe_ciphertext(&accumulator, &mut expected, MonomialDegree(0));
        assert_eq!(looked_up.iter().nth(index).unwrap(), expected.as_ref());
    }
}
