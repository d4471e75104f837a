use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_proto::{KeyId, ModelId};

use super::*;

fn opened() -> OpenedVersion {
    let spec = NetworkSpec::builtin("mlp-100").unwrap();
    let plan = Plan::new(&spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(3));
    OpenedVersion {
        model_id: ModelId::parse("m").unwrap(),
        key_id: KeyId::parse("k").unwrap(),
        incarnation: vec![0; 16].into(),
        version: 0,
        weights: parameters.iter().map(|stage| stage.weights.clone()).collect(),
        biases: parameters.iter().map(|stage| Zeroizing::new(stage.biases.clone())).collect(),
        spec,
        plan,
        pipeline: None,
    }
}

/// As an honest service answers.
fn honest(canaries: &Canaries, canary: &Canary, rng: &mut ChaCha20Rng) -> Vec<f32> {
    let logits = canaries.simulation.logits(canary.input(), SimulationNoise::Predicted, rng);
    logits.into_iter().map(|logit| logit as f32).collect()
}

#[test]
fn honest_answers_pass_and_those_to_other_queries_do_not() {
    let (canaries, mut rng) =
        (Canaries::new(&opened(), 0.5).unwrap(), ChaCha20Rng::seed_from_u64(4));
    let mut caught = 0;
    for _ in 0..40 {
        let [one, other] = [(); 2].map(|()| canaries.make(&mut rand::rng()));
        let answers = [&one, &other].map(|canary| honest(&canaries, canary, &mut rng));
        assert!(canaries.is_right(&one, &answers[0]));
        caught += usize::from(!canaries.is_right(&one, &answers[1]));
        assert!(!canaries.is_right(&one, &answers[0][1..]));
        let infinite = [&[f32::NAN], &answers[0][1..]].concat();
        assert!(!canaries.is_right(&one, &infinite));
    }
    // Logits of a network that was not trained differ little: about half, and never fewer than 5
    // but once in 10^7.
    assert!(caught >= 5, "{caught} of 40 answers to other queries were caught");
    assert_eq!(canaries.answered(), 40 + (40 - caught as u64));
}

#[test]
fn canaries_are_the_share_asked_for() {
    let canaries = Canaries::new(&opened(), 0.25).unwrap();
    let count = canaries.among(300, &mut rand::rng()).len();
    // One for three images; the deviation is 12.
    assert!((40..160).contains(&count), "{count} canaries for 300 images");
}

#[test]
fn rejects_shares_that_are_none() {
    for share in [0.0, 1.0, -0.1, f64::NAN] {
        let refused = Canaries::new(&opened(), share).unwrap_err();
        assert!(matches!(refused, OneShotInferenceError::CanaryShare { .. }));
    }
}

#[test]
fn detection_follows_the_formula() {
    assert_eq!(detection(0.5, 0), 0.0);
    assert!((detection(0.1, 44) - 0.990_3).abs() < 1e-4);
    assert_eq!(detection(1.0, 1), 1.0);
}
