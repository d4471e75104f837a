//! The noise of real ciphertexts against what the parameters predict, step by step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::atomic::AtomicBool;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::parameters::NoiseBudget;
use sphinx_bootstrap::{
    Control, OneShotProfile, PreparedKeys, Samples, logit_coefficient, look_up, pack_samples,
    switch_keys,
};
use sphinx_linalg::{POLYNOMIAL_SIZE, Width, expand_mask, unpack};
use sphinx_secret::SecretKey;

const COUNT: usize = 400;
const TORUS: f64 = 18_446_744_073_709_551_616.0;

/// The phase of a sample: the coefficient 0 of a ciphertext that extracts to it.
fn phase(key: &SecretKey, sample: &[u64]) -> u64 {
    let mut mask = vec![sample[0]];
    mask.extend(sample[1..POLYNOMIAL_SIZE].iter().rev().map(|word| word.wrapping_neg()));
    let mut body = vec![0; POLYNOMIAL_SIZE];
    body[0] = sample[POLYNOMIAL_SIZE];
    key.decrypt_words(&mask, &mut body, &mut vec![0; POLYNOMIAL_SIZE]);
    body[0]
}

/// Samples of given messages: fresh ciphertexts, coefficient 0 extracted.
fn encrypt(key: &SecretKey, messages: &[u64], rng: &mut ChaCha20Rng) -> Samples {
    let mut words = vec![0u64; messages.len() * POLYNOMIAL_SIZE];
    words.chunks_exact_mut(POLYNOMIAL_SIZE).zip(messages).for_each(|(row, &m)| row[0] = m);
    let rows = key.encrypt_rows(&words, Width::Six, rng);
    let mut samples = Samples::zero(messages.len());
    let out = samples.words_mut().chunks_exact_mut(POLYNOMIAL_SIZE + 1);
    let seeds = rows.seeds.as_chunks::<16>().0.iter();
    for (sample, (seed, body)) in out.zip(seeds.zip(rows.bodies.chunks_exact(6 * POLYNOMIAL_SIZE)))
    {
        let (mut mask, mut words) = (vec![0u64; POLYNOMIAL_SIZE], vec![0u64; POLYNOMIAL_SIZE]);
        expand_mask(sphinx_linalg::Seed(*seed), &mut mask);
        unpack(body, Width::Six, &mut words);
        sample[0] = mask[0];
        for place in 1..POLYNOMIAL_SIZE {
            sample[place] = mask[POLYNOMIAL_SIZE - place].wrapping_neg();
        }
        sample[POLYNOMIAL_SIZE] = words[0];
    }
    samples
}

/// Variance on the torus of differences modulo 2^64, around zero.
fn variance(differences: &[u64]) -> f64 {
    let square = |&word: &u64| (word.cast_signed() as f64 / TORUS).powi(2);
    differences.iter().map(square).sum::<f64>() / differences.len() as f64
}

fn close(what: &str, got: f64, predicted: f64) {
    let ratio = got / predicted;
    assert!((0.75..1.25).contains(&ratio), "{what}: variance {ratio} of the predicted");
}

#[test]
fn every_step_has_the_noise_that_is_predicted() {
    let mut rng = ChaCha20Rng::seed_from_u64(21);
    let profile = OneShotProfile::Standard;
    let budget = NoiseBudget::new(&profile.parameters());
    let key = SecretKey::generate(&mut rng).unwrap();
    let prepared = PreparedKeys::new(&key.evaluation_keys(profile, &mut rng).unwrap());
    let going_on = AtomicBool::new(false);
    let control = Control::new(&going_on, &|_| ());

    // A table that rises by one step from entry to entry shows at which entry it was read.
    let step = 1u64 << 50;
    let ramp: Vec<u64> = (0..POLYNOMIAL_SIZE as u64).map(|entry| entry * step).collect();
    let middle = |_| rng.random_range(1u64 << 61..3 << 61);
    let messages: Vec<u64> = (0..COUNT).map(middle).collect();
    let samples = encrypt(&key, &messages, &mut rng);
    let switched = switch_keys(&prepared, &samples, &control).unwrap();
    let read = look_up(&prepared, &switched, &ramp, &control).unwrap();
    let errors: Vec<u64> = read
        .iter()
        .zip(&messages)
        .map(|(sample, &message)| {
            // 2^52 of the torus per entry; an entry stands for the middle of its step.
            let entries = phase(&key, sample).wrapping_add(step / 2);
            (entries << 2).wrapping_sub(message)
        })
        .collect();
    let steps = (POLYNOMIAL_SIZE as f64 * 2.0).powi(-2) / 12.0;
    close("lookup", variance(&errors), budget.lookup() + steps + 16.0 * budget.bootstrapping);

    // A table of one value shows the noise of the blind rotation alone.
    let flat = vec![1u64 << 60; POLYNOMIAL_SIZE];
    let outputs = look_up(&prepared, &switched, &flat, &control).unwrap();
    let phases: Vec<u64> = outputs.iter().map(|sample| phase(&key, sample)).collect();
    let errors: Vec<u64> = phases.iter().map(|phase| phase.wrapping_sub(1 << 60)).collect();
    close("blind rotation", variance(&errors), budget.bootstrapping);

    // Packing adds to the phases that were there.
    let packed = pack_samples(&prepared, &outputs);
    let (mask, body) = packed.split_at(POLYNOMIAL_SIZE);
    let mut body = body.to_vec();
    key.decrypt_words(mask, &mut body, &mut vec![0; POLYNOMIAL_SIZE]);
    let errors: Vec<u64> = phases
        .iter()
        .enumerate()
        .map(|(index, phase)| body[logit_coefficient(index, COUNT)].wrapping_sub(*phase))
        .collect();
    let got = variance(&errors);
    assert!(
        got < 1.25 * budget.packing,
        "packing: variance {} of the predicted",
        got / budget.packing
    );
    assert!(
        got > 0.05 * budget.packing,
        "packing: the prediction is {} too large",
        budget.packing / got
    );
}
