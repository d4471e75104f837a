//! A short training on MNIST against the same training in the clear, with the same batches.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::{
    ClearTwin, EncryptedSession, Evaluator, TrainingOptions, train_without_ledger,
};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_proto::SessionId;
use sphinx_quantise::QuantisedNetwork;

use crate::world::{World, blocking, key_id, model_id, open};

const STEPS: usize = 40;
const SEED: [u8; 32] = [7; 32];
/// Largest difference of the loss at any step. Errors of 2^-14 in the activations are rounding
/// noise to the gradient; what they do to the loss of 2048 images stays far below its step-to-step
/// changes of about 0.05.
const LOSS: f64 = 0.02;

#[tokio::test(flavor = "multi_thread")]
async fn training_on_ciphertexts_follows_training_in_the_clear() {
    let world = World::start().await;
    let spec = NetworkSpec::builtin("sphinx-mnist").unwrap();
    world.client.create_model(&model_id(), &key_id(), &spec, 5).await.unwrap();
    let TrainTest { train: data, test } = sphinx_mnist::load().unwrap();
    let options = TrainingOptions {
        optimizer: OptimizerSpec::ADAM,
        learning_rate: 0.004,
        decay: Decay::Cosine { floor: 0.05 },
        ..open(STEPS as f64 * 2048.0 / data.len() as f64)
    };
    let rule = options.rule(data.len()).unwrap();
    let plan = Plan::new(&spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    let mut twin = ClearTwin::new(&plan, parameters, rule).unwrap();
    let session = world.session(SessionId([1; 16]), rule);
    let mut session = EncryptedSession::open(&world.client, session).await.unwrap();

    let (network, images) = (spec.clone(), data);
    let (encrypted, clear, twin) = blocking(move || {
        let encrypted = losses(&mut session, &network, &images, &options);
        (encrypted, losses(&mut twin, &network, &images, &options), twin)
    })
    .await;
    assert_eq!((encrypted.len(), clear.len()), (STEPS, STEPS));
    let apart = encrypted.iter().zip(&clear).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!(
        "losses {:.3} and {:.3}, at most {apart:.5} apart",
        encrypted[STEPS - 1],
        clear[STEPS - 1]
    );
    assert!(apart <= LOSS, "{encrypted:?} {clear:?}");
    assert!(encrypted[STEPS - 1] < 0.5 && encrypted[0] > 2.0, "{encrypted:?}");

    let home = world.client.export_model(&model_id(), &world.key).await.unwrap();
    let (encrypted, clear) = (
        accuracy(&spec, &plan, &home.stages, &test),
        accuracy(&spec, &plan, twin.parameters(), &test),
    );
    println!("test accuracy {encrypted} and {clear}");
    assert!(encrypted > 0.85 && (encrypted - clear).abs() <= 0.01, "{encrypted} {clear}");
}

fn losses(
    cloud: &mut dyn Evaluator,
    spec: &NetworkSpec,
    data: &Dataset,
    options: &TrainingOptions,
) -> Vec<f64> {
    let mut losses = Vec::new();
    let mut note = |progress: &sphinx_client::Progress| {
        losses.push(progress.loss);
        true
    };
    let summary = train_without_ledger(cloud, spec, data, options, SEED, &mut note).unwrap();
    assert_eq!((summary.version, summary.budget_exhausted), (STEPS as u64, false));
    losses
}

fn accuracy(spec: &NetworkSpec, plan: &Plan, stages: &[StageParameters], test: &Dataset) -> f64 {
    let network = QuantisedNetwork::new(plan, stages, spec.bias_bound, 11).unwrap();
    let recognised = |index: &usize| {
        let logits = network.classify(&test.pixels(*index).unwrap()).unwrap();
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        best == usize::from(test.labels()[*index])
    };
    let count = (0..test.len()).into_par_iter().filter(recognised).count();
    count as f64 / test.len() as f64
}
