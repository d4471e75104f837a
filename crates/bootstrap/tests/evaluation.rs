//! Recognitions under encryption against the simulation in the clear, on networks trained on MNIST.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::{Control, EvaluationError, Samples, SimulationNoise, Step, pack_samples};
use sphinx_evaluation_keys::{Query, QueryError, QueryLayout};
use sphinx_network::Plan;
use support::{Images, Party, class, mlp, small_conv, train};

/// Mean squares of the differences of logits.
fn mean_square(differences: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = differences.fold((0.0, 0.0), |(sum, n), d| (sum + d * d, n + 1.0));
    sum / count
}

#[test]
fn encrypted_and_simulated_recognitions_agree() {
    const ENCRYPTED: usize = 32;
    let images = Images::mnist(true).unwrap();
    let test = Images::mnist(false).unwrap();
    let spec = mlp(40, 8);
    let parameters = train(&spec, &images, 60_000, 512, 4).unwrap();
    let mut party = Party::new(&spec, &parameters).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(9);

    let right = |noise, rng: &mut ChaCha20Rng| {
        let right = |&index: &usize| {
            party.simulation.classify(test.image(index), noise, rng)
                == usize::from(test.labels[index])
        };
        (0..test.len()).filter(right).count() as f64 / test.len() as f64
    };
    let (clear, noisy) =
        (right(SimulationNoise::None, &mut rng), right(SimulationNoise::Predicted, &mut rng));
    assert!(clear > 0.94, "{clear}");
    assert!(clear - noisy < 0.01, "noise costs {clear} - {noisy}");

    let (mut agreed, mut encrypted, mut simulated) = (0, Vec::new(), Vec::new());
    for index in 0..ENCRYPTED {
        let image = test.image(index);
        let logits = party.recognise(image).unwrap();
        let exact = party.simulation.logits(image, SimulationNoise::None, &mut rng);
        agreed += usize::from(class(&logits) == class(&exact));
        encrypted.extend(logits.iter().zip(&exact).map(|(a, b)| a - b));
        for _ in 0..20 {
            let noisy = party.simulation.logits(image, SimulationNoise::Predicted, &mut rng);
            simulated.extend(noisy.iter().zip(&exact).map(|(a, b)| a - b));
        }
    }
    assert!(agreed >= ENCRYPTED - 1, "{agreed} of {ENCRYPTED} agree");
    let ratio = mean_square(encrypted.into_iter()) / mean_square(simulated.into_iter());
    // 320 logits whose errors are correlated within an image: the ratio of variances is known to
    // about a tenth.
    assert!((0.65..1.5).contains(&ratio), "the logits' noise is {ratio} times what is simulated");
}

#[test]
fn convolutions_pools_and_three_layers_come_out_right() {
    let images = Images::mnist(true).unwrap();
    let test = Images::mnist(false).unwrap();
    let spec = small_conv();
    let parameters = train(&spec, &images, 30_000, 256, 3).unwrap();
    let mut party = Party::new(&spec, &parameters).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    assert_eq!(party.model.network().neurons(), 2 * 36 + 16);
    let (mut encrypted, mut simulated) = (Vec::new(), Vec::new());
    for index in 0..24 {
        let image = test.image(index);
        let logits = party.recognise(image).unwrap();
        let exact = party.simulation.logits(image, SimulationNoise::None, &mut rng);
        encrypted.extend(logits.iter().zip(&exact).map(|(a, b)| a - b));
        for _ in 0..20 {
            let noisy = party.simulation.logits(image, SimulationNoise::Predicted, &mut rng);
            simulated.extend(noisy.iter().zip(&exact).map(|(a, b)| a - b));
        }
    }
    let ratio = mean_square(encrypted.into_iter()) / mean_square(simulated.into_iter());
    // 16 neurons of the second layer dominate, so an image tells as much as four independent
    // values: 0.15 deviations.
    assert!((0.5..1.7).contains(&ratio), "the logits' noise is {ratio} times what is simulated");
}

#[test]
fn a_cancelled_evaluation_goes_no_further() {
    let spec = mlp(16, 4);
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let parameters = sphinx_network::initial_parameters(&Plan::new(&spec).unwrap(), &mut rng);
    let mut party = Party::new(&spec, &parameters).unwrap();
    let layout = party.model.network().layout();
    let query = party.key.encrypt_query(layout, &[0.5; 784], &mut party.rng).unwrap();
    for stop_after in [Step::Linear, Step::KeySwitching, Step::Rotation] {
        let cancelled = AtomicBool::new(false);
        let steps = Mutex::new(Vec::new());
        let progress = |done: sphinx_bootstrap::LayerDone| {
            steps.lock().unwrap().push(done.step);
            cancelled.store(done.step == stop_after, Ordering::Relaxed);
        };
        let control = Control::new(&cancelled, &progress);
        let outcome = party.model.evaluate(&party.prepared, &query, &control);
        assert_eq!(outcome, Err(EvaluationError::Cancelled));
        assert_eq!(steps.into_inner().unwrap().last(), Some(&stop_after));
    }
    let cancelled = AtomicBool::new(true);
    let packed =
        pack_samples(&party.prepared, &Samples::zero(9), &Control::new(&cancelled, &|_| ()));
    assert_eq!(packed, Err(EvaluationError::Cancelled));
}

#[test]
fn rejects_queries_for_another_network() {
    let layout = QueryLayout::new(&Plan::new(&mlp(16, 4)).unwrap()).unwrap();
    let short = Query::from_parts(&[0; 16], vec![0; 7], &layout);
    assert_eq!(short, Err(QueryError::Length { got: 7, expected: 784 * 4 }));
    let seed = Query::from_parts(&[0; 15], vec![0; 784 * 4], &layout);
    assert_eq!(seed, Err(QueryError::Seed { got: 15, expected: 16 }));
}
