//! Networks without activations, and inputs that take several ciphertexts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::{
    Control, EvaluationError, OneShotModel, PreparedKeys, Simulation, SimulationNoise,
};
use sphinx_evaluation_keys::{OneShotProfile, QueryError};
use sphinx_network::{Filters, LayerSpec, NetworkSpec, Plan, Shape, StageParameters};
use sphinx_secret::SecretKey;
use support::{encrypt_biases, network};

/// A client with keys of one profile, and a model with random weights.
struct Side {
    key: SecretKey,
    prepared: PreparedKeys,
    model: OneShotModel,
    simulation: Simulation,
    rng: ChaCha20Rng,
}

fn side(input: Shape, layers: Vec<LayerSpec>, profile: OneShotProfile) -> Side {
    let mut rng = ChaCha20Rng::seed_from_u64(51);
    let spec = NetworkSpec { name: "net".into(), input, bias_bound: 4.0, layers };
    let plan = Plan::new(&spec).unwrap();
    let mut parameters = Vec::new();
    for stage in &plan.stages {
        let mut uniform = |count: usize, bound: f32| -> Vec<f32> {
            (0..count).map(|_| rng.random_range(-bound..bound)).collect()
        };
        let per_output = stage.linear.weight_count() / stage.linear.bias_count();
        let weights = uniform(stage.linear.weight_count(), 2.0 / (per_output as f32).sqrt());
        let biases = uniform(stage.linear.bias_count(), 1.0);
        parameters.push(StageParameters { weights, biases });
    }
    let key = SecretKey::generate(&mut rng).unwrap();
    let network = network(&spec, &parameters).unwrap();
    let encrypted: Vec<_> = parameters
        .iter()
        .map(|stage| encrypt_biases(&key, &stage.biases, &mut rng).unwrap())
        .collect();
    let biases: Vec<&[f32]> = parameters.iter().map(|stage| &stage.biases[..]).collect();
    let prepared = PreparedKeys::new(&key.evaluation_keys(profile, &mut rng).unwrap());
    let model = OneShotModel::new(Arc::clone(&network), &encrypted).unwrap();
    Side { prepared, model, simulation: Simulation::new(network, &biases).unwrap(), key, rng }
}

impl Side {
    fn input(&mut self) -> Vec<f32> {
        let scalars = self.model.network().layout().scalars();
        (0..scalars).map(|_| self.rng.random::<f32>()).collect()
    }

    fn recognise(&mut self, input: &[f32]) -> Result<Vec<f64>, EvaluationError> {
        let network = self.model.network();
        let query = self.key.encrypt_query(network.layout(), input, &mut self.rng).unwrap();
        let going_on = AtomicBool::new(false);
        let control = Control::new(&going_on, &|_| ());
        let answer = self.model.evaluate(&self.prepared, &query, &control)?;
        Ok(self.key.decrypt_answer(&answer, network.classes()).unwrap())
    }
}

#[test]
fn linear_networks_are_evaluated_with_keys_that_only_pack() {
    let layers = vec![LayerSpec::Dense { outputs: 10 }];
    let mut side = side(Shape::new(81, 7, 7), layers, OneShotProfile::Packing);
    let layout = side.model.network().layout().clone();
    assert_eq!((layout.ciphertexts(), layout.len()), (2, 3969));
    assert!(side.prepared.bytes() < 1 << 20, "{}", side.prepared.bytes());
    let (mut errors, mut largest) = (0.0, 0f64);
    for _ in 0..32 {
        let input = side.input();
        let got = side.recognise(&input).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(0);
        let exact = side.simulation.logits(&input, SimulationNoise::None, &mut rng);
        errors += got.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        largest = exact.iter().fold(largest, |largest, logit| largest.max(logit.abs()));
    }
    let unit = side.model.network().logit_scale() / 64f64.exp2();
    let ratio = errors / 320.0 * unit * unit / side.model.network().noise().logits;
    assert!((0.4..1.3).contains(&ratio), "the logits' noise is {ratio} times what is predicted");
    assert!(largest > 0.5, "{largest}: logits that could be told from nothing");

    let network = side.model.network();
    let input = vec![0.5; layout.scalars()];
    let mut query = side.key.encrypt_query(network.layout(), &input, &mut side.rng).unwrap();
    query.seeds.pop();
    let going_on = AtomicBool::new(false);
    let control = Control::new(&going_on, &|_| ());
    let refused = side.model.evaluate(&side.prepared, &query, &control).unwrap_err();
    assert_eq!(refused, QueryError::Seed { got: 16, expected: 32 }.into());
}

#[test]
fn convolutions_of_inputs_in_several_ciphertexts_come_out_right() {
    let conv = LayerSpec::Conv {
        out_channels: 2,
        kernel: 5,
        stride: 4,
        padding: 1,
        filters: Filters::Random,
    };
    let layers = vec![conv, LayerSpec::Tanh, LayerSpec::Dense { outputs: 4 }];
    let mut side = side(Shape::new(3, 32, 32), layers.clone(), OneShotProfile::Standard);
    // One channel of 34 × 34 in each.
    let layout = side.model.network().layout();
    assert_eq!((layout.ciphertexts(), layout.share()), (3, 34 * 34));
    let (mut errors, mut simulated) = (0.0, 0.0);
    for _ in 0..6 {
        let input = side.input();
        let got = side.recognise(&input).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(0);
        let exact = side.simulation.logits(&input, SimulationNoise::None, &mut rng);
        errors += got.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        for _ in 0..20 {
            let noisy = side.simulation.logits(&input, SimulationNoise::Predicted, &mut rng);
            simulated += noisy.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 20.0;
        }
    }
    let ratio = errors / simulated;
    assert!((0.3..2.5).contains(&ratio), "the logits' noise is {ratio} times what is simulated");
}

#[test]
fn keys_that_only_pack_are_refused_for_activations() {
    let layers =
        vec![LayerSpec::Dense { outputs: 3 }, LayerSpec::Tanh, LayerSpec::Dense { outputs: 2 }];
    let mut side = side(Shape::new(1, 4, 4), layers, OneShotProfile::Packing);
    let input = side.input();
    let refused = side.recognise(&input).unwrap_err();
    assert_eq!(refused, EvaluationError::Profile { got: "packing", expected: "standard" });
}
