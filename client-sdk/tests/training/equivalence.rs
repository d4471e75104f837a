//! One stage at a time: results on ciphertexts against the same layers in the clear.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::{
    BiasForm, ClearTwin, Direction, EncryptedSession, Evaluator, Profile, Protocol, Sealed,
    SessionOptions, Update,
};
use sphinx_gradient::Tensor;
use sphinx_linalg::{SLOTS, tuniform_variance};
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule};
use sphinx_proto::SessionId;
use sphinx_quantise::Geometry;
use sphinx_wire::training::{backward_budget, forward_budget, input_scale};

use crate::world::{World, blocking, key_id, model_id};

const SEED: u64 = 5;
/// Largest error in standard deviations: of 10^8 Gaussian results, one in five hundred trainings
/// exceeds it.
const DEVIATIONS: f64 = 6.5;

/// What a convolution with stride, padding and a folded pool asks of both directions.
fn odd() -> NetworkSpec {
    NetworkSpec::from_toml(
        r#"
        name = "odd"
        input = { channels = 2, height = 12, width = 8 }
        bias_bound = 2.0
        [[layers]]
        kind = "conv"
        out_channels = 3
        kernel = 4
        stride = 2
        padding = 1
        [[layers]]
        kind = "avg_pool"
        size = 2
        [[layers]]
        kind = "relu"
        cap = 2.0
        [[layers]]
        kind = "conv"
        out_channels = 5
        kernel = 3
        padding = 2
        [[layers]]
        kind = "sigmoid"
        [[layers]]
        kind = "dense"
        outputs = 7
        "#,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sphinx_mnist_agrees_with_its_twin_in_the_clear() {
    let spec = NetworkSpec::builtin("sphinx-mnist").unwrap();
    for profile in Profile::ALL {
        agrees(spec.clone(), profile, BiasForm::AtHome).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lola_agrees_with_its_twin_in_the_clear() {
    agrees(NetworkSpec::builtin("lola").unwrap(), Profile::Glwe2048T32, BiasForm::AtHome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strides_padding_and_folded_pools_agree_with_the_twin_in_the_clear() {
    let spec = odd();
    let plan = Plan::new(&spec).unwrap();
    assert_eq!(plan.stages[0].pool, Some(2));
    for profile in Profile::ALL {
        agrees(spec.clone(), profile, BiasForm::AtHome).await;
    }
}

/// The paper's dataflow: biases travel as ciphertexts and the server adds them.
#[tokio::test(flavor = "multi_thread")]
async fn biases_that_the_server_adds_agree_with_the_twin_in_the_clear() {
    for spec in [odd(), NetworkSpec::builtin("sphinx-mnist").unwrap()] {
        agrees(spec, Profile::Glwe2048T32, BiasForm::Encrypted).await;
    }
}

/// Commits two updates, so that biases are not zero, then compares parameters and every product.
async fn agrees(spec: NetworkSpec, profile: Profile, biases: BiasForm) {
    let world = World::start().await;
    world.client.create_model(&model_id(), &key_id(), &spec, SEED).await.unwrap();
    let schedule = Schedule { peak: 0.1, decay: Decay::Linear { floor: 0.1 }, warmup: 1, total: 9 };
    let rule = TrainingRule { optimizer: OptimizerSpec::ADAM, schedule, averaging: None };
    let protocol = Protocol { profile: Some(profile), biases, ..Protocol::default() };
    let options = SessionOptions { protocol, ..world.session(SessionId([1; 16]), rule) };
    let mut session = EncryptedSession::open(&world.client, options.clone()).await.unwrap();
    let plan = Plan::new(&spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(SEED));
    let mut twin = ClearTwin::new(&plan, parameters, rule).unwrap();

    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let bound = spec.bias_bound;
    let updates = [random_update(&plan, &mut rng), random_update(&plan, &mut rng)];
    let inputs = random_inputs(&plan, &mut rng);
    let (session, twin) = blocking(move || {
        for (step, update) in (0..).zip(&updates) {
            let sealed = session.seal(step, update, false).unwrap();
            // The gradient, and a blob of the biases with their moments: 0.14 MB for sphinx-mnist.
            let biases: usize = plan.stages.iter().map(|stage| stage.linear.bias_count()).sum();
            let weights: usize = plan.stages.iter().map(|stage| stage.linear.weight_count()).sum();
            let (bytes, most) = (sealed.bytes().len(), 4 * weights + 16 * biases + 2_048);
            assert!(bytes <= most, "a commit of {bytes} bytes, expected at most {most}");
            session.commit(step, &sealed, update).unwrap();
            twin.commit(step, &Sealed::default(), update).unwrap();
        }
        assert_eq!((session.version(), twin.version()), (2, 2));
        for (stage, direction, input) in inputs {
            let blocks = [&input, &mirrored(&input)];
            let got = session.evaluate(stage, direction, &blocks).unwrap();
            let expected = twin.evaluate(stage, direction, &blocks).unwrap();
            let weights = &twin.parameters()[stage].weights;
            let bias_bound = match (biases, direction) {
                (BiasForm::Encrypted, Direction::Forward) => Some(bound),
                _ => None,
            };
            let deviations = deviations(&plan, (stage, direction), profile, (weights, bias_bound));
            for (block, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let place = format!("stage {stage} {direction:?}, block {block}");
                compare(got, expected, &deviations, &place);
            }
        }
        (session, twin)
    })
    .await;

    assert_eq!(session.biases(), twin.biases());
    assert!(twin.biases().iter().flatten().filter(|bias| **bias != 0.0).count() > 5);
    let home = world.client.export_model(&model_id(), &world.key).await.unwrap();
    assert_eq!(home.model.version, 2);
    assert!(home.stages == twin.parameters(), "weights or biases are not those of the twin");
    let again = EncryptedSession::open(&world.client, options).await.unwrap();
    assert_eq!(again.biases(), twin.biases());
    assert_eq!(again.last_step(), Some(1));
}

fn random_update(plan: &Plan, rng: &mut ChaCha20Rng) -> Update {
    let mut draw = |count: usize, grid: f32, most: i32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-most..=most) as f32 / grid).collect()
    };
    Update {
        gradient: plan.stages.iter().map(|s| draw(s.linear.weight_count(), 1e4, 100)).collect(),
        bias_gradient: plan
            .stages
            .iter()
            .map(|stage| draw(stage.linear.bias_count(), 1e4, 9_000))
            .collect(),
        adopts_average: false,
    }
}

fn random_inputs(plan: &Plan, rng: &mut ChaCha20Rng) -> Vec<(usize, Direction, Tensor)> {
    let mut draw = |rows: usize, bound: f32| {
        let values = (0..rows * SLOTS).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0));
        Tensor::new(rows, SLOTS, values.collect()).unwrap()
    };
    let mut inputs = Vec::new();
    for (index, stage) in plan.stages.iter().enumerate() {
        inputs.push((index, Direction::Forward, draw(stage.input.len(), stage.input_bound)));
        if index > 0 {
            inputs.push((index, Direction::Backward, draw(stage.output.len(), 1.0)));
        }
    }
    inputs
}

/// Another block: the same values with the slots in reverse order.
fn mirrored(tensor: &Tensor) -> Tensor {
    let rows = tensor.as_slice().chunks_exact(SLOTS);
    let values = rows.flat_map(|row| row.iter().rev().copied()).collect();
    Tensor::new(tensor.rows(), SLOTS, values).unwrap()
}

/// The standard deviation of every result row's error, in units.
///
/// In integers it is the noise of encryption, grown by the weights' norm, the rounding of inputs
/// (1/12 each, grown by the weights' norm), and the rounding of weights (1/12 each, grown by the
/// inputs, which are uniform in ±X). Of the range, 2^31 at X = 2^14, that is about 2^-14: more in
/// small convolutions, less in wide layers.
fn deviations(
    plan: &Plan,
    (index, direction): (usize, Direction),
    profile: Profile,
    (weights, bias_bound): (&[f32], Option<f32>),
) -> Vec<f64> {
    let stage = &plan.stages[index];
    let budget = match direction {
        Direction::Forward => forward_budget(stage, profile),
        Direction::Backward => backward_budget(profile),
    };
    let geometry = Geometry::new(index, stage, direction);
    let geometry = match bias_bound {
        Some(bound) => geometry.with_biases(f64::from(bound / stage.input_bound)),
        None => geometry,
    };
    let lowered = geometry.lower(weights, &budget).unwrap();
    let mut deviations = vec![0.0; lowered.map.outputs()];
    for group in lowered.map.groups() {
        for (row, weights) in group.weights.chunks_exact(group.taps).enumerate() {
            let norm: f64 = weights.iter().map(|weight| f64::from(*weight).powi(2)).sum();
            let noise = norm * tuniform_variance(profile.noise_bound_log2());
            let inputs = norm / 12.0;
            let largest = input_scale(profile);
            let rounded_weights = group.taps as f64 / 12.0 * largest * largest / 3.0;
            let deviation = (noise + inputs + rounded_weights).sqrt();
            for patch in group.patches.iter() {
                let output = patch.scatter[row] as usize;
                deviations[output] = deviation / lowered.scales[output / lowered.rows_per_channel];
            }
        }
    }
    deviations
}

fn compare(got: &Tensor, expected: &Tensor, deviations: &[f64], what: &str) {
    assert_eq!((got.rows(), got.slots()), (expected.rows(), expected.slots()));
    assert_eq!(got.rows(), deviations.len());
    let (mut squares, mut largest, mut signal) = (0.0, 0.0f64, 0.0);
    for (row, deviation) in deviations.iter().enumerate() {
        for (got, expected) in got.row(row).iter().zip(expected.row(row)) {
            let error = f64::from(got - expected) / deviation;
            squares += error * error;
            largest = largest.max(error.abs());
            signal += (f64::from(*expected) / deviation).powi(2);
        }
    }
    let count = (got.rows() * SLOTS) as f64;
    let (typical, signal) = ((squares / count).sqrt(), (signal / count).sqrt());
    println!("{what}: error {typical:.2}, at most {largest:.2}; signal {signal:.0} deviations");
    assert!(signal > 30.0, "{what}: nothing to compare");
    assert!((0.7..1.3).contains(&typical), "{what}: typical error of {typical} deviations");
    assert!(largest <= DEVIATIONS, "{what}: an error of {largest} deviations");
}
