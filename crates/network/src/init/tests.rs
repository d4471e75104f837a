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
fn gabor_filters_are_waves_of_the_size_of_random_weights() {
    let plan = Plan::new(&NetworkSpec::builtin("gabor-cnn").unwrap()).unwrap();
    let with = |seed| initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(seed));
    let (parameters, other) = (with(1), with(2));
    assert_eq!(parameters[0].weights, other[0].weights);
    assert_ne!(parameters[1].weights, other[1].weights);
    let limit = 5.0 / 3.0 * (3.0_f32 / 64.0).sqrt();
    let filters: Vec<&[f32]> = parameters[0].weights.chunks(64).collect();
    assert_eq!(filters.len(), 16);
    for filter in &filters {
        let square = filter.iter().map(|weight| weight * weight).sum::<f32>() / 64.0;
        assert!((3.0 * square / (limit * limit) - 1.0).abs() < 1e-4);
        assert!(filter.iter().sum::<f32>().abs() < 1e-4);
    }
    // The first bar is vertical: every line mirrors itself and the line opposite. The first edge
    // changes sign instead.
    for y in 0..8 {
        for x in 0..8 {
            let (at, mirrored) = (8 * y + x, 8 * y + 7 - x);
            assert!((filters[0][at] - filters[0][mirrored]).abs() < 1e-5);
            assert!((filters[8][at] + filters[8][mirrored]).abs() < 1e-5);
        }
    }
    // Filters across each other have little in common.
    let product: f32 = filters[0].iter().zip(filters[4]).map(|(a, b)| a * b).sum();
    assert!(product.abs() < 0.2 * 64.0 * limit * limit / 3.0, "{product}");
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
