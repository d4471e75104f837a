//! The noise of real ciphertexts against what the parameters predict, step by step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::atomic::AtomicBool;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::NoiseBudget;
use sphinx_bootstrap::{
    Control, OneShotModel, PreparedKeys, Samples, look_up, pack_samples, switch_keys,
};
use sphinx_evaluation_keys::{OneShotProfile, QUERY_WIDTH, Query, logit_coefficient};
use sphinx_linalg::{POLYNOMIAL_SIZE, Width, expand_mask, unpack};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape, initial_parameters};
use sphinx_secret::SecretKey;

/// A variance of so many is within a quarter of its expectation at five deviations.
const COUNT: usize = 800;
/// Answers of so many logits each.
const ANSWERS: usize = 64;
const LOGITS: usize = 64;
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

/// The phases of the first samples less those of the second.
fn differences(key: &SecretKey, first: &Samples, second: &Samples) -> Vec<u64> {
    let pairs = first.iter().zip(second.iter());
    pairs.map(|(a, b)| phase(key, a).wrapping_sub(phase(key, b))).collect()
}

/// The phases that were packed.
fn unpacked(key: &SecretKey, packed: &[u64], count: usize) -> Vec<u64> {
    let (mask, body) = packed.split_at(POLYNOMIAL_SIZE);
    let mut body = body.to_vec();
    key.decrypt_words(mask, &mut body, &mut vec![0; POLYNOMIAL_SIZE]);
    (0..count).map(|index| body[logit_coefficient(index, count)]).collect()
}

fn dense(outputs: usize) -> LayerSpec {
    LayerSpec::Dense { outputs }
}

/// A model whose outputs all have the noise of the one that has most: weights of one size and
/// random signs.
fn model(
    key: &SecretKey,
    input: Shape,
    layers: Vec<LayerSpec>,
    rng: &mut ChaCha20Rng,
) -> OneShotModel {
    let spec = NetworkSpec { name: "signs".into(), input, bias_bound: 4.0, layers };
    let plan = Plan::new(&spec).unwrap();
    let mut parameters = initial_parameters(&plan, rng);
    let weights = parameters.iter_mut().flat_map(|stage| stage.weights.iter_mut());
    weights.for_each(|weight| *weight = 0.02f32.copysign(*weight));
    let encrypted: Vec<_> = parameters
        .iter()
        .map(|stage| support::encrypt_biases(key, &stage.biases, rng).unwrap())
        .collect();
    OneShotModel::new(support::network(&spec, &parameters).unwrap(), &encrypted).unwrap()
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

    // A later layer of these, against one of their messages without noise.
    let layers = vec![dense(COUNT), LayerSpec::Tanh, dense(2000)];
    let model = model(&key, Shape::new(1, 2, 2), layers, &mut rng);
    let query = Query { seeds: vec![[0; 16]], bodies: vec![0; 4 * 4] };
    let mut exact = Samples::zero(COUNT);
    for sample in exact.words_mut().chunks_exact_mut(POLYNOMIAL_SIZE + 1) {
        sample[POLYNOMIAL_SIZE] = 1 << 60;
    }
    let sums = model.linear(1, &query, &outputs, &control).unwrap();
    let exact = model.linear(1, &query, &exact, &control).unwrap();
    let errors = differences(&key, &sums, &exact);
    close("later layer", variance(&errors), model.network().noise().combination);

    // Packing adds to the phases that were there.
    let packed = pack_samples(&prepared, &outputs, &control).unwrap();
    let unpacked = unpacked(&key, &packed, COUNT);
    let errors: Vec<u64> =
        unpacked.iter().zip(&phases).map(|(word, phase)| word.wrapping_sub(*phase)).collect();
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

#[test]
fn queries_first_layers_and_answers_have_the_noise_that_is_predicted() {
    let mut rng = ChaCha20Rng::seed_from_u64(22);
    let profile = OneShotProfile::Standard;
    let budget = NoiseBudget::new(&profile.parameters());
    let key = SecretKey::generate(&mut rng).unwrap();
    let prepared = PreparedKeys::new(&key.evaluation_keys(profile, &mut rng).unwrap());
    let going_on = AtomicBool::new(false);
    let control = Control::new(&going_on, &|_| ());
    let model = model(&key, Shape::new(1, 28, 28), vec![dense(COUNT)], &mut rng);
    let layout = model.network().layout();
    let input: Vec<f32> = (0..784u16).map(|pixel| f32::from(pixel % 17) / 16.0).collect();

    let query = key.encrypt_query(layout, &input, &mut rng).unwrap();
    let (mut mask, mut words) = (vec![0u64; POLYNOMIAL_SIZE], vec![0u64; POLYNOMIAL_SIZE]);
    expand_mask(sphinx_linalg::Seed(query.seeds[0]), &mut mask);
    unpack(&query.bodies, QUERY_WIDTH, &mut words[..layout.len()]);
    key.decrypt_words(&mask, &mut words, &mut vec![0; POLYNOMIAL_SIZE]);
    let message = layout.encode(&input);
    let errors: Vec<u64> = words[..layout.len()]
        .iter()
        .zip(&message)
        .map(|(word, message)| word.wrapping_sub(*message))
        .collect();
    close("query", variance(&errors), budget.query);

    // Two encryptions of one image: what the sums have in common, biases included, cancels.
    let again = key.encrypt_query(layout, &input, &mut rng).unwrap();
    let first = model.linear(0, &query, &Samples::zero(0), &control).unwrap();
    let second = model.linear(0, &again, &Samples::zero(0), &control).unwrap();
    let errors = differences(&key, &first, &second);
    close("first layer", variance(&errors), 2.0 * model.network().noise().first_layer);

    // The same packed words, rounded and not. The rounded words of a mask meet key bits of mean one
    // half, so that half of the variance is a sum nearly common to all coefficients: one answer has
    // little to say of it, many do.
    let model = self::model(&key, Shape::new(1, 28, 28), vec![dense(LOGITS)], &mut rng);
    let layout = model.network().layout();
    let mut errors: Vec<u64> = Vec::new();
    for _ in 0..ANSWERS {
        let query = key.encrypt_query(layout, &input, &mut rng).unwrap();
        let sums = model.linear(0, &query, &Samples::zero(0), &control).unwrap();
        let packed = unpacked(&key, &pack_samples(&prepared, &sums, &control).unwrap(), LOGITS);
        let answer = model.evaluate(&prepared, &query, &control).unwrap();
        let rounded = key.decrypt_answer(&answer, LOGITS).unwrap();
        errors.extend(rounded.iter().zip(&packed).map(|(logit, word)| {
            ((logit * answer.scale) as i64).cast_unsigned().wrapping_sub(*word)
        }));
    }
    close("answer", variance(&errors), budget.answer);
}
