//! Networks that are refused, with what was found and what would be accepted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use sphinx_bootstrap::{
    DEFAULT_HALF_RANGE, MAX_CLASSES, MAX_HALF_RANGE, MAX_NEURONS, MAX_TERMS, OneShotNetwork,
    OneShotNetworkError,
};
use sphinx_evaluation_keys::{LayoutError, MAX_CIPHERTEXTS, OneShotProfile};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};

const TANH: LayerSpec = LayerSpec::Tanh;

fn dense(outputs: usize) -> LayerSpec {
    LayerSpec::Dense { outputs }
}

fn plan(inputs: usize, layers: Vec<LayerSpec>) -> Plan {
    let input = Shape::new(1, 1, inputs);
    Plan::new(&NetworkSpec { name: "net".into(), input, bias_bound: 4.0, layers }).unwrap()
}

fn refusal(plan: &Plan, weights: &[Vec<f32>]) -> OneShotNetworkError {
    refusal_at(plan, weights, DEFAULT_HALF_RANGE)
}

fn refusal_at(plan: &Plan, weights: &[Vec<f32>], half_range: f32) -> OneShotNetworkError {
    OneShotNetwork::new(OneShotProfile::Standard, plan, weights, 4.0, half_range).unwrap_err()
}

/// Weights that are all `value`.
fn constant(plan: &Plan, value: f32) -> Vec<Vec<f32>> {
    plan.stages.iter().map(|stage| vec![value; stage.linear.weight_count()]).collect()
}

/// Refused by their plans alone, before there is a weight.
#[test]
fn rejects_plans_that_are_too_large() {
    let without = |plan: &Plan| refusal(plan, &[]);
    let mut empty = plan(4, vec![dense(2)]);
    empty.stages.clear();
    assert_eq!(without(&empty), LayoutError::NoStages.into());

    let half = MAX_NEURONS / 2;
    let neurons = plan(4, vec![dense(half), TANH, dense(half + 1), TANH, dense(2)]);
    let expected = OneShotNetworkError::TooManyNeurons { got: MAX_NEURONS + 1, limit: MAX_NEURONS };
    assert_eq!(without(&neurons), expected);

    let classes = plan(4, vec![dense(MAX_CLASSES + 1)]);
    let expected = OneShotNetworkError::TooManyClasses { got: MAX_CLASSES + 1, limit: MAX_CLASSES };
    assert_eq!(without(&classes), expected);

    let terms = plan(4, vec![dense(2048), TANH, dense(2048), TANH, dense(2)]);
    let expected =
        OneShotNetworkError::TooManyTerms { stage: 1, got: 2048 * 2052, limit: MAX_TERMS };
    assert_eq!(without(&terms), expected);
}

#[test]
fn rejects_inputs_that_do_not_fit_a_query() {
    let large = plan(MAX_CIPHERTEXTS * 2048 + 1, vec![dense(2)]);
    let error = refusal(&large, &constant(&large, 0.0));
    assert_eq!(error, LayoutError::InputTooLarge { got: 32_769, limit: 32_768 }.into());
    // Three channels of 44 × 46 would have room; 46 lines do not.
    let conv = LayerSpec::Conv {
        out_channels: 1,
        kernel: 3,
        stride: 1,
        padding: 1,
        filters: sphinx_network::Filters::Random,
    };
    let input = Shape::new(3, 44, 46);
    let layers = vec![conv, TANH, dense(2)];
    let spec = NetworkSpec { name: "net".into(), input, bias_bound: 4.0, layers };
    let large = Plan::new(&spec).unwrap();
    let error = refusal(&large, &constant(&large, 0.0));
    assert_eq!(error, LayoutError::ChannelTooLarge { got: 46 * 48, limit: 2048 }.into());
}

#[test]
fn rejects_weights_that_are_missing_or_no_numbers() {
    let plan = plan(4, vec![dense(3), TANH, dense(2)]);
    let good = constant(&plan, 0.5);
    let error = refusal(&plan, &good[..1]);
    assert_eq!(error, OneShotNetworkError::Count { stage: None, got: 1, expected: 2 });
    let mut short = good.clone();
    short[1].pop();
    let error = refusal(&plan, &short);
    assert_eq!(error, OneShotNetworkError::Count { stage: Some(1), got: 5, expected: 6 });
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut infinite = good.clone();
        infinite[1][3] = value;
        assert_eq!(refusal(&plan, &infinite), OneShotNetworkError::NotFinite { stage: 1 });
    }
}

#[test]
fn rejects_weights_that_are_too_large() {
    let limit = 1 << 26;
    let deep = plan(4, vec![dense(3), TANH, dense(3), TANH, dense(2)]);
    let mut weights = constant(&deep, 0.5);
    // 2048 integers per unit in the first layer: 4 · 2048 · 8193 is 2^13 above the limit.
    weights[0].fill(8193.0);
    let got = limit + (1 << 13);
    assert_eq!(
        refusal(&deep, &weights),
        OneShotNetworkError::WeightsTooLarge { stage: 0, got, limit }
    );
    weights[0].fill(0.5);
    weights[1].fill(1e10);
    let limit = i32::MAX as u64;
    let error = refusal(&deep, &weights);
    assert_eq!(
        error,
        OneShotNetworkError::WeightsTooLarge { stage: 1, got: rounded(&error), limit }
    );
    assert!(rounded(&error) >= 10_000_000_000, "{error}");
    weights[1].fill(0.5);
    weights[2].fill(20_000.0);
    let error = refusal(&deep, &weights);
    let OneShotNetworkError::LogitsTooLarge { stage: 2, got, limit } = error else {
        panic!("{error}")
    };
    assert!(got > 60_000.0 && limit == f64::from(MAX_HALF_RANGE), "{got}, {limit}");
}

/// The weight that was found to be too large.
fn rounded(error: &OneShotNetworkError) -> u64 {
    let OneShotNetworkError::WeightsTooLarge { got, .. } = error else { panic!("{error}") };
    *got
}

#[test]
fn rejects_ranges_that_are_none() {
    let plan = plan(4, vec![dense(3), TANH, dense(2)]);
    let weights = constant(&plan, 0.5);
    for got in [0.5, -1.0, 0.0, f32::INFINITY, MAX_HALF_RANGE * 2.0] {
        let expected = OneShotNetworkError::HalfRange { got, limit: MAX_HALF_RANGE };
        assert_eq!(refusal_at(&plan, &weights, got), expected);
    }
    let nan = refusal_at(&plan, &weights, f32::NAN);
    assert!(matches!(nan, OneShotNetworkError::HalfRange { .. }), "{nan}");
}

#[test]
fn rejects_activations_wider_than_the_range() {
    for (cap, weight) in [(20.0, 0.5), (8.1, 5.0)] {
        let plan = plan(4, vec![dense(3), LayerSpec::Relu { cap }, dense(2)]);
        let error = refusal(&plan, &constant(&plan, weight));
        let (activation, got) = (format!("Relu {{ cap: {cap:?} }}"), 2.0 * f64::from(cap));
        let expected = OneShotNetworkError::SlopeTooWide { stage: 0, activation, got, limit: 16.0 };
        assert_eq!(error, expected);
    }
    let plan = plan(4, vec![dense(3), TANH, dense(2)]);
    let error = refusal_at(&plan, &constant(&plan, 5.0), 6.0);
    let (activation, got) = ("Tanh".to_owned(), 7.0);
    assert_eq!(error, OneShotNetworkError::SlopeTooWide { stage: 0, activation, got, limit: 6.0 });
}

#[test]
fn rejects_what_no_table_evaluates() {
    let pool = LayerSpec::MaxPool { size: 2, stride: None };
    let conv = LayerSpec::Conv {
        out_channels: 2,
        kernel: 3,
        stride: 1,
        padding: 0,
        filters: sphinx_network::Filters::Random,
    };
    let layers = vec![conv, TANH, pool, dense(2)];
    let spec =
        NetworkSpec { name: "net".into(), input: Shape::new(1, 6, 6), bias_bound: 4.0, layers };
    let plan = Plan::new(&spec).unwrap();
    let error = refusal(&plan, &constant(&plan, 0.5));
    assert!(
        matches!(&error, OneShotNetworkError::Unsupported { stage: 0, op } if op.contains("MaxPool"))
    );
}
