//! Averages of the parameters that become the model when a training ends.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::{
    ClearTwin, ClientError, EncryptedSession, Evaluator, Event, Observed, Sealed, SessionOptions,
    TrainingError, TrainingOptions, Update, train_without_ledger,
};
use sphinx_models::ModelVersion;
use sphinx_network::{Plan, initial_parameters};
use sphinx_optimizer::{OptimizerSpec, TrainingRule, WeightAverage};
use sphinx_privacy::ledger::{Charge, Ledger};
use sphinx_proto::SessionId;

use crate::world::{World, blocking, examples, model_id, open, private, rule, small};

const DECAY: f32 = 0.6;
const SESSION: SessionId = SessionId([9; 16]);

fn averaging() -> TrainingRule {
    let optimizer = OptimizerSpec::Sgd { momentum: 0.9, nesterov: true };
    TrainingRule { optimizer, averaging: Some(DECAY), ..rule() }
}

fn averaged(options: TrainingOptions) -> TrainingOptions {
    TrainingOptions { averaging: Some(DECAY), ..options }
}

fn random_update(rng: &mut ChaCha20Rng) -> Update {
    let plan = Plan::new(&small()).unwrap();
    let mut draw = |count: usize, grid: f32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-1000..=1000) as f32 / grid).collect()
    };
    Update {
        gradient: plan.stages.iter().map(|s| draw(s.linear.weight_count(), 1e4)).collect(),
        bias_gradient: plan.stages.iter().map(|s| draw(s.linear.bias_count(), 1e4)).collect(),
        adopts_average: false,
    }
}

fn adoption() -> Update {
    Update { adopts_average: true, ..Update::default() }
}

async fn opened(world: &World, options: &SessionOptions) -> EncryptedSession {
    EncryptedSession::open(&world.client, options.clone()).await.unwrap()
}

async fn stored(world: &World, version: u64) -> ModelVersion {
    let store = world.store();
    let meta = store.get(&Default::default(), &model_id()).await.unwrap().meta;
    store.load(&meta, Some(version)).await.unwrap()
}

/// The average of the weights of the versions `first..=last`.
async fn average_of(world: &World, first: u64, last: u64) -> Vec<Vec<f32>> {
    let start = stored(world, first).await.weights;
    let mut averages: Vec<_> =
        start.iter().map(|w| WeightAverage::new(DECAY, w).unwrap()).collect();
    for version in first + 1..=last {
        let weights = stored(world, version).await.weights;
        averages.iter_mut().zip(&weights).for_each(|(average, w)| average.update(w).unwrap());
    }
    averages.into_iter().map(|average| average.average).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn averages_agree_with_the_twin_across_broken_streams_and_killed_services() {
    let mut world = World::with_model().await;
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let plan = Plan::new(&small()).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    let mut twin = ClearTwin::new(&plan, parameters, averaging()).unwrap();
    let options = world.session(SESSION, averaging());
    for step in 0..6 {
        // A stream of its own for every step; a service of its own for some.
        if step % 2 == 1 {
            world.trainer.kill();
            world.trainer.restart();
        }
        let mut session = opened(&world, &options).await;
        let update = if step == 5 { adoption() } else { random_update(&mut rng) };
        twin.commit(step, &Sealed::default(), &update).unwrap();
        blocking(move || {
            let sealed = session.seal(step, &update, false).unwrap();
            session.commit(step, &sealed, &update).unwrap();
        })
        .await;
        let home = world.client.export_model(&model_id(), &world.key).await.unwrap();
        assert_eq!((home.model.version, twin.version()), (step + 1, step + 1));
        assert!(home.stages == twin.parameters(), "step {step}: not the twin's parameters");
    }
    assert!(stored(&world, 6).await.weights == average_of(&world, 0, 5).await);
    assert!(stored(&world, 6).await.weights != stored(&world, 5).await.weights);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_adoption_changes_nothing() {
    let world = World::with_model().await;
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let options = world.session(SESSION, averaging());
    let mut session = opened(&world, &options).await;
    let mut early = opened(&world, &options).await;
    let (update, adoption) = (random_update(&mut rng), adoption());
    let (sealed, first) = blocking(move || {
        let first = session.seal(0, &update, false).unwrap();
        session.commit(0, &first, &update).unwrap();
        let sealed = session.seal(1, &adoption, false).unwrap();
        session.commit(1, &sealed, &adoption).unwrap();
        (sealed, first)
    })
    .await;
    let adopted = stored(&world, 2).await;
    let late = opened(&world, &options).await;
    assert_eq!((late.version(), late.last_step()), (2, Some(1)));
    // The stream that knows of no commit yet repeats both.
    blocking(move || {
        early.commit_sealed(0, &first).unwrap();
        assert!(early.reopen(0).unwrap() || early.version() == 2);
        assert!(early.commit_sealed(1, &sealed).is_err(), "made for the version before");
        assert_eq!(early.version(), 2);
    })
    .await;
    assert_eq!(world.version().await, 2);
    assert!(stored(&world, 2).await == adopted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_ends_with_the_averages_of_weights_and_biases() {
    let world = World::with_model().await;
    let options = averaged(private(3.0));
    let rule = options.rule(3000).unwrap();
    let session = opened(&world, &world.session(SESSION, rule)).await;
    let mut versions = vec![session.biases().to_vec()];
    let (summary, versions) = blocking(move || {
        let (spec, data) = (small(), examples(3000));
        let mut witness = Observed::new(session, |session: &EncryptedSession, event| {
            if let Event::Committed { .. } = event {
                versions.push(session.biases().to_vec());
            }
        });
        let summary =
            train_without_ledger(&mut witness, &spec, &data, &options, [1; 32], &mut |_| true);
        drop(witness);
        (summary.unwrap(), versions)
    })
    .await;
    assert!(summary.averaged && (4..8).contains(&summary.steps), "{summary:?}");
    assert_eq!(summary.version, summary.steps + 1);
    assert!(
        stored(&world, summary.version).await.weights == average_of(&world, 0, summary.steps).await
    );

    let (last, steps) = versions.split_last().unwrap();
    let mut averages: Vec<_> =
        steps[0].iter().map(|biases| WeightAverage::new(DECAY, biases).unwrap()).collect();
    for biases in &steps[1..] {
        averages.iter_mut().zip(biases).for_each(|(average, b)| average.update(b).unwrap());
    }
    let expected = averages.iter().flat_map(|average| &average.average);
    let apart = expected.zip(last.iter().flatten()).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) <= 0.5 / 65_536.0, "not the average on the grid");
    assert_ne!(last, steps.last().unwrap());
    let home = world.client.export_model(&model_id(), &world.key).await.unwrap();
    assert!(home.stages.iter().map(|stage| &stage.biases).eq(last));
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_and_exhausted_trainings_adopt_too_and_it_costs_nothing() {
    let world = World::with_model().await;
    let train = |more: bool| {
        let request = world.request(averaged(private(4.0)));
        world.client.train_model(request, move |p| more || p.step < 2)
    };
    let first = train(false).await.unwrap();
    assert_eq!((first.steps, first.version, first.averaged), (2, 3, true));
    assert!(stored(&world, 3).await.weights == average_of(&world, 0, 2).await);
    let second = train(true).await.unwrap();
    assert!(second.budget_exhausted && second.averaged && second.steps > 0, "{second:?}");
    // A new session averages anew.
    assert_eq!(second.version, 3 + second.steps + 1);
    assert!(
        stored(&world, second.version).await.weights
            == average_of(&world, 3, second.version - 1).await
    );
    let third = train(true).await.unwrap();
    assert_eq!((third.steps, third.averaged, third.version), (0, false, second.version));

    let ledger = Ledger::open_model(&world.ledger(), "m").unwrap();
    let free =
        |record: &&sphinx_privacy::ledger::Record| record.entry.charge == Charge::PostProcessing;
    assert_eq!(ledger.records().iter().filter(free).count(), 2);
    assert_eq!(ledger.runs().iter().map(|run| run.steps).sum::<u64>(), 2 + second.steps);
    assert_eq!(ledger.head().version, second.version);
    assert!(second.epsilon.unwrap().proven() <= 8.0);
}

/// The client died between recording the adoption and its arrival; the next run keeps no average.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_was_not_confirmed_is_made_by_the_rule_it_was_recorded_under() {
    for arrives in [false, true] {
        let world = World::with_model().await;
        let options = || averaged(private(4.0));
        let rule = options().rule(3000).unwrap();
        let mut session = opened(&world, &world.session(SESSION, rule)).await;
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let (update, adoption) = (random_update(&mut rng), adoption());
        let ledger = world.ledger();
        blocking(move || {
            let mut ledger = Ledger::open(&ledger, &crate::pending::binding()).unwrap();
            for (step, update, charge) in
                [(0, &update, Charge::Unproven), (1, &adoption, Charge::PostProcessing)]
            {
                let sealed = session.seal(step, update, false).unwrap();
                let entry = crate::pending::entry(step, step, charge);
                ledger.reserve(&entry, None, sealed.bytes()).unwrap();
                if step == 0 || arrives {
                    session.commit(step, &sealed, update).unwrap();
                }
                if step == 0 {
                    ledger.confirm(0).unwrap();
                }
            }
        })
        .await;
        assert_eq!(world.version().await, 1 + u64::from(arrives));
        let next = world.client.train_model(world.request(open(1.0)), |_| false).await.unwrap();
        assert_eq!((next.steps, next.version, next.averaged), (1, 3, false));
        assert!(stored(&world, 2).await.weights == average_of(&world, 0, 1).await);
        assert_eq!(world.spent(), (3, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_adopting_without_averaging_and_decays_that_are_none() {
    let world = World::with_model().await;
    let mut session = opened(&world, &world.session(SESSION, rule())).await;
    let error = blocking(move || session.seal(0, &adoption(), false).err().unwrap()).await;
    assert!(matches!(error, ClientError::Training(TrainingError::NoAverage)), "{error}");
    assert_eq!(world.version().await, 0);

    for decay in [1.0, -0.1, f32::NAN] {
        let options = TrainingOptions { averaging: Some(decay), ..private(1.0) };
        let error = world.client.train_model(world.request(options), |_| true).await.unwrap_err();
        assert!(matches!(error, ClientError::Training(TrainingError::Optimizer(_))), "{error}");
        let rule = TrainingRule { averaging: Some(decay), ..rule() };
        let session = EncryptedSession::open(&world.client, world.session(SESSION, rule)).await;
        let error = session.err().unwrap();
        assert!(matches!(error, ClientError::Training(TrainingError::Optimizer(_))), "{error}");
    }
    assert_eq!(world.spent(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_sealed_bytes_of_another_step_or_that_are_damaged() {
    let world = World::with_model().await;
    let mut session = opened(&world, &world.session(SESSION, rule())).await;
    blocking(move || {
        let update = random_update(&mut ChaCha20Rng::seed_from_u64(8));
        let sealed = session.seal(0, &update, false).unwrap();
        let bytes = sealed.bytes();
        for damaged in [&bytes[..100], &bytes[1..], b""] {
            assert!(Sealed::read(damaged.to_vec()).is_err());
        }
        let error = session.commit_sealed(1, &sealed).unwrap_err();
        assert!(matches!(error, ClientError::Training(TrainingError::Sealed { .. })), "{error}");
        session.commit(0, &sealed, &update).unwrap();
    })
    .await;
    assert_eq!(world.version().await, 1);
}
