use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::{LayerSpec, NetworkSpec, Plan, initial_parameters};

#[test]
fn weights_fill_their_interval_and_biases_are_zero() {
    let mut spec = NetworkSpec::builtin("mlp-100").unwrap();
    for (activation, limit) in [
        (LayerSpec::Tanh, 5.0 / 3.0 * (3.0_f32 / 784.0).sqrt()),
        (LayerSpec::Sigmoid, (3.0_f32 / 784.0).sqrt()),
        (LayerSpec::Relu { cap: 6.0 }, (6.0_f32 / 784.0).sqrt()),
    ] {
        spec.layers[1] = activation;
        let plan = Plan::new(&spec).unwrap();
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(1));
        let weights = &parameters[0].weights;
        assert_eq!(weights.len(), 78_400);
        assert!(weights.iter().all(|weight| weight.abs() <= limit));
        let variance = weights.iter().map(|w| w * w).sum::<f32>() / 78_400.0;
        // Of a uniform distribution; the standard error at this size is 0.3 %.
        assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.02);
        assert!(weights.iter().sum::<f32>().abs() / 78_400.0 < 0.02 * limit);
        assert!(parameters.iter().all(|stage| stage.biases.iter().all(|&bias| bias == 0.0)));
    }
}

#[test]
fn same_seed_gives_same_weights() {
    let plan = Plan::new(&NetworkSpec::builtin("lola").unwrap()).unwrap();
    let with = |seed| initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(seed));
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
}

#[test]
fn debug_shows_no_parameter() {
    let parameters = crate::StageParameters { weights: vec![0.125], biases: vec![0.375] };
    assert_eq!(format!("{parameters:?}"), "StageParameters(1 weights, 1 biases)");
}
