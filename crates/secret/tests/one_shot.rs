//! Queries and answers of one-shot recognition from the client's side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_evaluation_keys::{Answer, QUERY_WIDTH, QueryLayout};
use sphinx_linalg::{POLYNOMIAL_SIZE, Seed, expand_mask, unpack};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};
use sphinx_secret::{OneShotError, SecretKey};

/// 28 × 28 with a border of one around it.
fn padded() -> QueryLayout {
    let spec = NetworkSpec {
        name: "padded".into(),
        input: Shape::new(1, 28, 28),
        bias_bound: 4.0,
        layers: vec![
            LayerSpec::Conv {
                out_channels: 1,
                kernel: 5,
                stride: 2,
                padding: 1,
                filters: sphinx_network::Filters::Random,
            },
            LayerSpec::Tanh,
            LayerSpec::Dense { outputs: 10 },
        ],
    };
    QueryLayout::new(&Plan::new(&spec).unwrap()).unwrap()
}

#[test]
fn a_query_holds_the_image_within_its_padding() {
    let mut rng = ChaCha20Rng::seed_from_u64(41);
    let key = SecretKey::generate(&mut rng).unwrap();
    let layout = padded();
    let image: Vec<f32> = (0..784).map(|_| rng.random()).collect();
    let query = key.encrypt_query(&layout, &image, &mut rng).unwrap();
    assert_eq!((layout.len(), query.bytes()), (900, 16 + 900 * 4));

    let mut mask = vec![0u64; POLYNOMIAL_SIZE];
    expand_mask(Seed(query.seeds[0]), &mut mask);
    let mut phase = vec![0u64; POLYNOMIAL_SIZE];
    unpack(&query.bodies, QUERY_WIDTH, &mut phase[..900]);
    key.decrypt_words(&mask, &mut phase, &mut vec![0; POLYNOMIAL_SIZE]);
    for (place, &word) in phase[..900].iter().enumerate() {
        let (y, x) = (place / 30, place % 30);
        let inside = (1..29).contains(&y) && (1..29).contains(&x);
        let expected = if inside { image[(y - 1) * 28 + x - 1] } else { 0.0 };
        // Rounded to 2^-16 on the way, and half a step more for the noise.
        let got = word.cast_signed() as f64 / 48f64.exp2();
        assert!((got - f64::from(expected)).abs() < 1.0 / 65536.0, "({y}, {x})");
    }
}

#[test]
fn rejects_inputs_and_answers_of_other_sizes() {
    let mut rng = ChaCha20Rng::seed_from_u64(42);
    let key = SecretKey::generate(&mut rng).unwrap();
    let error = key.encrypt_query(&padded(), &[0.0; 783], &mut rng).unwrap_err();
    assert_eq!(error, OneShotError::Input { got: 783, expected: 784 });

    let answer =
        |mask, bodies, scale| Answer { mask: vec![0; mask], bodies: vec![0; bodies], scale };
    let (whole, ten) = (3 * POLYNOMIAL_SIZE, 40);
    for (mask, bodies) in [(whole - 1, ten), (0, ten), (whole, ten + 4), (whole, 0)] {
        let error = key.decrypt_answer(&answer(mask, bodies, 1e15), 10).unwrap_err();
        let (expected_mask, expected_bodies) = (whole, ten);
        let expected = OneShotError::Answer { mask, bodies, expected_mask, expected_bodies };
        assert_eq!(error, expected);
    }
    for scale in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let error = key.decrypt_answer(&answer(whole, ten, scale), 10).unwrap_err();
        assert!(matches!(error, OneShotError::Scale { .. }), "{error}");
    }
    let many = POLYNOMIAL_SIZE + 1;
    assert!(key.decrypt_answer(&answer(whole, 4 * many, 1e15), many).is_err());
    assert!(key.decrypt_answer(&answer(whole, ten, 1e15), usize::MAX).is_err());
}
