//! Networks of all sizes of weights against the same networks in real numbers: what tables and sums
//! can hold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::{
    DEFAULT_HALF_RANGE, OneShotNetwork, OneShotNetworkError, Simulation, SimulationNoise,
};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_network::{Activation, LayerSpec, NetworkSpec, Plan, Shape};

const INPUTS: usize = 8;
const NEURONS: usize = 6;

fn dense(outputs: usize) -> LayerSpec {
    LayerSpec::Dense { outputs }
}

/// A network of [`INPUTS`] inputs without noise.
fn simulation(
    layers: Vec<LayerSpec>,
    bias_bound: f32,
    weights: &[Vec<f32>],
    biases: &[Vec<f32>],
) -> Result<Simulation, OneShotNetworkError> {
    let input = Shape::new(1, 1, INPUTS);
    let spec = NetworkSpec { name: "net".into(), input, bias_bound, layers };
    let plan = Plan::new(&spec).unwrap();
    let profile = OneShotProfile::Standard;
    let network = OneShotNetwork::new(profile, &plan, weights, bias_bound, DEFAULT_HALF_RANGE)?;
    Simulation::new(network.into(), biases)
}

fn exact(simulation: &Simulation, input: &[f32]) -> Vec<f64> {
    simulation.logits(input, SimulationNoise::None, &mut ChaCha20Rng::seed_from_u64(0))
}

/// `NEURONS` rows of weights with absolute values of sum `norm`.
fn rows(norm: f32, rng: &mut ChaCha20Rng) -> Vec<f32> {
    let mut weights: Vec<f32> =
        (0..INPUTS * NEURONS).map(|_| rng.random_range(-1.0..1.0f32)).collect();
    for row in weights.chunks_exact_mut(INPUTS) {
        let sum: f32 = row.iter().map(|w| w.abs()).sum();
        row.iter_mut().for_each(|w| *w *= norm / sum);
    }
    weights
}

fn identity() -> Vec<f32> {
    (0..NEURONS * NEURONS).map(|i| f32::from(u8::from(i % (NEURONS + 1) == 0))).collect()
}

/// Networks that hand on every neuron of their first layer, of weights whose bounds lie far below,
/// near and above the default range. Tables have the activation itself up to the bound, or to where
/// the default range ends.
#[test]
fn tables_have_the_activation_up_to_the_bound_of_the_weights() {
    let mut rng = ChaCha20Rng::seed_from_u64(41);
    let mut checked = 0;
    for layer in [
        LayerSpec::Tanh,
        LayerSpec::Sigmoid,
        LayerSpec::Relu { cap: 0.5 },
        LayerSpec::Relu { cap: 4.0 },
        LayerSpec::Relu { cap: 8.0 },
        LayerSpec::QuantisedTanh { levels: 2 },
        LayerSpec::QuantisedTanh { levels: 3 },
        LayerSpec::QuantisedTanh { levels: 16 },
    ] {
        let activation = layer.activation().unwrap();
        for (norm, bias_bound) in [0.05, 0.5, 1.0, 2.0, 4.0, 6.0, 9.0, 40.0]
            .into_iter()
            .zip([0.25, 1.0, 4.0].into_iter().cycle())
        {
            let weights = rows(norm, &mut rng);
            let biases: Vec<f32> =
                (0..NEURONS).map(|neuron| bias_bound * (neuron as f32 % 3.0 - 1.0)).collect();
            let layers = vec![dense(NEURONS), layer.clone(), dense(NEURONS)];
            let simulation = simulation(
                layers,
                bias_bound,
                &[weights.clone(), identity()],
                &[biases.clone(), vec![0.0; NEURONS]],
            )
            .unwrap();
            for (aligned, step) in (0..NEURONS).flat_map(|row| (-16..=16).map(move |s| (row, s))) {
                let signs = weights[aligned * INPUTS..][..INPUTS].iter().map(|w| w.signum());
                let input: Vec<f32> = signs.map(|sign| sign * step as f32 / 16.0).collect();
                let got = exact(&simulation, &input);
                for (neuron, got) in got.into_iter().enumerate() {
                    let row = &weights[neuron * INPUTS..][..INPUTS];
                    let products = row.iter().zip(&input).map(|(w, x)| f64::from(w * x));
                    let z = products.sum::<f64>() + f64::from(biases[neuron]);
                    checked += usize::from(is_activation(activation, z, got, norm + bias_bound));
                }
            }
        }
    }
    assert!(checked > 50_000, "{checked}");
}

/// Asserts that `got` is the activation near z; false for z beyond what the default range promises.
fn is_activation(activation: Activation, z: f64, got: f64, bound: f32) -> bool {
    // Half of 32 units less the slope; a ReLU of cap 8 is right from -8 to 16.
    if bound > 8.0 && z.abs() > 8.0 {
        return false;
    }
    // A step of the table and rounded weights to each side; the identity's weight is off by a
    // fortieth at most.
    let (near, far) = (0.02, 0.04 * f64::from(activation.bound()));
    let low = f64::from(activation.apply((z - near) as f32)) - far;
    let high = f64::from(activation.apply((z + near) as f32)) + far;
    assert!((low..=high).contains(&got), "{activation:?} at {z} of {bound}: {got}");
    true
}

/// Behind a sigmoid or ReLU inputs are not centred: their sums reach further than those of centred
/// ones of the same width.
#[test]
fn logits_of_weights_of_one_sign_do_not_wrap() {
    const CLASSES: usize = 3;
    for (layer, top) in [(LayerSpec::Relu { cap: 4.0 }, 4.0), (LayerSpec::Sigmoid, 1.0)] {
        for sign in [1.0, -1.0f32] {
            // Every neuron is at its top.
            let first = vec![10.0 / INPUTS as f32; INPUTS * NEURONS];
            let second = vec![3.0 * sign; CLASSES * NEURONS];
            let biases = [vec![0.0; NEURONS], vec![0.25 * sign; CLASSES]];
            let layers = vec![dense(NEURONS), layer.clone(), dense(CLASSES)];
            let simulation = simulation(layers, 0.25, &[first, second], &biases).unwrap();
            for got in exact(&simulation, &[1.0; INPUTS]) {
                let sum = top * NEURONS as f64 * 3.0 + 0.25;
                let ratio = got / (f64::from(sign) * sum);
                assert!((0.95..1.05).contains(&ratio), "{layer:?}: {got} for {sign} · {sum}");
            }
        }
    }
}

/// The same, of a hidden layer between.
#[test]
fn later_hidden_layers_have_their_activation_behind_one_that_is_not_centred() {
    let first = vec![10.0 / INPUTS as f32; INPUTS * NEURONS];
    let share = 2.0 / NEURONS as f32;
    let second: Vec<f32> = (0..NEURONS * NEURONS)
        .map(|weight| share * ((weight / NEURONS) as f32 - 2.5) / 2.5)
        .collect();
    let layers = vec![
        dense(NEURONS),
        LayerSpec::Relu { cap: 2.0 },
        dense(NEURONS),
        LayerSpec::Tanh,
        dense(NEURONS),
    ];
    let biases = vec![vec![0.0; NEURONS]; 3];
    let simulation = simulation(layers, 0.25, &[first, second, identity()], &biases).unwrap();
    for (neuron, got) in exact(&simulation, &[1.0; INPUTS]).into_iter().enumerate() {
        // Inputs of 2, weights that sum to 2 at most.
        let z = 4.0 * (neuron as f64 - 2.5) / 2.5;
        assert!((got - z.tanh()).abs() < 0.15, "tanh of {z}: {got}");
    }
}

#[test]
fn a_later_layer_of_zeros_leaves_its_biases() {
    let layers = vec![dense(NEURONS), LayerSpec::Relu { cap: 4.0 }, dense(3)];
    let weights = [vec![0.5; INPUTS * NEURONS], vec![0.0; NEURONS * 3]];
    let biases = [vec![0.0; NEURONS], vec![-0.5, 0.25, 1.0]];
    let simulation = simulation(layers, 1.0, &weights, &biases).unwrap();
    for (got, bias) in exact(&simulation, &[0.5; INPUTS]).into_iter().zip(&biases[1]) {
        assert!((got - f64::from(*bias)).abs() < 1e-3, "{got} for {bias}");
    }
}
