//! Copies of examples: what they add to a released sum, what they cost, and on ciphertexts as in
//! the clear.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::data::Dataset;
use sphinx_client::{
    Augmentation, AugmentationError, ClearTwin, ClientError, EncryptedSession, Evaluator, Event,
    Observed, Privacy, Progress, TrainingError, TrainingOptions, Update, train_without_ledger,
};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_privacy::ledger::{Charge, Ledger};
use sphinx_privacy::{PlanError, PlanRequest, PrivacyPlan, Target};
use sphinx_proto::SessionId;

use crate::world::{
    DESCENT, EXAMPLES, World, blocking, delta, examples, model_id, open, private, small,
};

const SEED: [u8; 32] = [9; 32];
const CLIPPING_NORM: f32 = 0.5;

fn in_copies(copies: u64, options: TrainingOptions) -> TrainingOptions {
    TrainingOptions { augmentation: Some(Augmentation { copies, shift: 2 }), ..options }
}

fn twin(spec: &NetworkSpec, options: &TrainingOptions, examples: usize) -> ClearTwin {
    let plan = Plan::new(spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    ClearTwin::new(&plan, parameters, options.rule(examples).unwrap()).unwrap()
}

fn first(data: &Dataset, count: usize) -> Dataset {
    let mut first = data.clone();
    first.truncate(count);
    first
}

/// The sum that the first step releases, all examples drawn, and what the step reports.
fn released(data: &Dataset, options: &TrainingOptions) -> (Vec<f64>, Progress) {
    let (mut seen, mut report) = (Vec::new(), None);
    let twin = twin(&small(), options, data.len());
    let mut tap = Observed::new(twin, |_: &ClearTwin, event: Event<'_>| {
        if let Event::Committed { update } = event {
            seen.push(update.clone());
        }
    });
    train_without_ledger(&mut tap, &small(), data, options, SEED, &mut |progress| {
        report = Some(progress.clone());
        false
    })
    .unwrap();
    drop(tap);
    let update: &Update = &seen[0];
    let (gradient, biases) =
        (update.gradient.iter().flatten(), update.bias_gradient.iter().flatten());
    let mean = gradient.map(|value| f64::from(*value)).chain(biases.map(|b| f64::from(*b)));
    (mean.map(|value| value * data.len() as f64).collect(), report.unwrap())
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Everything is drawn, hardly noised: a budget beyond reason.
fn bare() -> TrainingOptions {
    let target = Target::new(1e8, delta()).unwrap();
    let privacy = Privacy::Budget { target, clipping_norm: CLIPPING_NORM };
    TrainingOptions { optimizer: DESCENT, learning_rate: 1.0, privacy, ..open(1.0) }
}

#[test]
fn an_example_in_copies_adds_at_most_the_clipping_norm_to_the_released_sum() {
    let data = examples(40);
    let limit = f64::from(CLIPPING_NORM);
    for copies in [2, 4, 16] {
        let options = in_copies(copies, bare());
        let noise = options.resolve(data.len()).unwrap().noise_multiplier().unwrap();
        let (with, report) = released(&data, &options);
        let (without, _) = released(&first(&data, 39), &options);
        // Counted once, and all of them longer than the limit.
        assert_eq!((report.examples, report.clipped), (40, 1.0));
        // Noise of two releases in every component, and biases on a grid of 2^-16 times 40
        // examples.
        let allowance = 2.0 * noise * limit * (with.len() as f64).sqrt() + 3e-3;
        assert!(allowance < 0.05 * limit, "{allowance}");
        let added = distance(&with, &without);
        println!("{copies} copies: {added:.4} of {limit}, allowance {allowance:.4}");
        assert!(added <= limit + allowance && added > limit - allowance, "{copies}: {added}");
        // The sum is that of these copies, not of the examples as they are.
        let (plain, _) = released(&data, &bare());
        assert!(distance(&with, &plain) > 0.1 * limit, "{copies}");
    }
}

#[test]
fn copies_of_a_batch_are_averaged_in_loss_and_accuracy() {
    let data = examples(100);
    let plain = released(&data, &open(1.0)).1;
    let copies = released(&data, &in_copies(8, open(1.0))).1;
    assert_eq!((plain.examples, copies.examples, copies.clipped), (100, 100, 0.0));
    // Untrained: each copy's loss is about ln 10.
    assert!((copies.loss - plain.loss).abs() < 0.3 && copies.loss > 1.5, "{copies:?}");
    assert!((0.0..=1.0).contains(&copies.accuracy));
    assert_ne!(copies.loss, plain.loss);
}

#[tokio::test(flavor = "multi_thread")]
async fn training_in_copies_follows_its_twin_in_the_clear() {
    let world = World::with_model().await;
    let options = TrainingOptions { blocks: 2, ..in_copies(8, private(1.0)) };
    let rule = options.rule(EXAMPLES).unwrap();
    let mut clear = twin(&small(), &options, EXAMPLES);
    let session = world.session(SessionId([1; 16]), rule);
    let mut session = EncryptedSession::open(&world.client, session).await.unwrap();
    let (encrypted, losses, clear) = blocking(move || {
        let run = |cloud: &mut dyn Evaluator| {
            let mut losses = Vec::new();
            let (spec, data) = (small(), examples(EXAMPLES));
            let mut report = |progress: &Progress| {
                losses.push(progress.loss);
                progress.step < 6
            };
            let summary =
                train_without_ledger(cloud, &spec, &data, &options, SEED, &mut report).unwrap();
            assert_eq!((summary.steps, summary.slots), (6, 6 * 2 * 2048));
            losses
        };
        (run(&mut session), run(&mut clear), clear)
    })
    .await;
    let apart = encrypted.iter().zip(&losses).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(encrypted.len() == 6 && apart < 2e-3, "{encrypted:?} {losses:?}");
    let home = world.client.export_model(&model_id(), &world.key).await.unwrap();
    let weights = |stages: &[StageParameters]| -> Vec<f64> {
        stages.iter().flat_map(|stage| &stage.weights).map(|weight| f64::from(*weight)).collect()
    };
    let (got, expected) = (weights(&home.stages), weights(clear.parameters()));
    let start = weights(twin(&small(), &private(1.0), EXAMPLES).parameters());
    let (error, way) = (distance(&got, &expected), distance(&start, &expected));
    println!("losses at most {apart:.1e} apart, weights {error:.1e} after a way of {way:.3}");
    assert!(error < 1e-2 * way, "{error} {way}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_charged_for_batches_of_as_many_examples_as_fit() {
    let world = World::with_model().await;
    let options = in_copies(4, private(1.0));
    let summary = world.client.train_model(world.request(options), |p| p.step < 2).await.unwrap();
    assert_eq!((summary.steps, summary.slots), (2, 4096));
    let path = world.ledger();
    let run = blocking(move || Ledger::open_model(&path, "m").unwrap().runs()[0]).await;
    let request = PlanRequest {
        target: Target::new(8.0, delta()).unwrap(),
        examples: EXAMPLES as u64,
        expected_batch: None,
        blocks: 1,
        copies: 4,
        epochs: 1.0,
    };
    let plan = PrivacyPlan::solve(&request).unwrap();
    assert!(plan.capacity == 512 && plan.expected_batch < 512);
    assert!(plan.segment.overflow_probability > 0.0);
    assert_eq!((run.charge, run.steps), (Charge::gaussian(&plan.segment, 1.0), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_copies_and_shifts_that_make_no_sense_and_batches_that_do_not_fit() {
    let world = World::with_model().await;
    let refused = async |options| {
        world.client.train_model(world.request(options), |_| true).await.unwrap_err()
    };
    for copies in [0, 1, 3, 32] {
        for options in [private(1.0), open(1.0)] {
            let error = refused(in_copies(copies, options)).await;
            let expected = AugmentationError::Copies { got: copies };
            assert!(
                matches!(&error, ClientError::Training(TrainingError::Augmentation(got)) if *got == expected),
                "{error}"
            );
        }
    }
    for got in [0, 5] {
        let augmentation = Some(Augmentation { copies: 2, shift: got });
        let error = refused(TrainingOptions { augmentation, ..private(1.0) }).await;
        let expected = AugmentationError::Shift { got };
        assert!(
            matches!(&error, ClientError::Training(TrainingError::Augmentation(got)) if *got == expected),
            "{error}"
        );
    }
    for options in [private(1.0), open(1.0)] {
        let error = refused(in_copies(16, TrainingOptions { batch: Some(129), ..options })).await;
        let expected = PlanError::Blocks { expected: 129, blocks: 1, copies: 16 };
        assert!(
            matches!(&error, ClientError::Training(TrainingError::PrivacyPlan(got)) if *got == expected),
            "{error}"
        );
    }
    let error = refused(in_copies(16, TrainingOptions { batch: Some(127), ..private(1.0) })).await;
    assert!(error.to_string().contains("16 copies of each example"), "{error}");
    assert_eq!((world.spent(), world.version().await), ((0, 0), 0));
}
