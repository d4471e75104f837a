//! The blocks of every step over several trainers on one store.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sphinx_client::{
    Augmentation, ClientError, Endpoints, Memory, Progress, SeenVersions, SphinxClient, StateError,
    Suspects, TrainingError, TrainingOptions, TrainingRequest,
};
use sphinx_optimizer::OptimizerSpec;
use sphinx_proto::v1::train_request::Part as Asked;
use sphinx_proto::v1::train_response::Part as Answered;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{Direction, Follow, OpenSession, SessionOpened, TrainRequest};
use sphinx_testbed::Process;
use sphinx_testbed::liar::{Answer, LyingTrainer, Passing, Trick};

use crate::world::{World, model_id, private};

/// Five blocks a step, of which one connection takes four together, with moments, noise, copies and
/// an average: whatever could depend on who took which block.
fn options(epochs: f64) -> TrainingOptions {
    let augmentation = Some(Augmentation { copies: 4, shift: 1 });
    let (optimizer, averaging) = (OptimizerSpec::ADAM, Some(0.9));
    let (blocks, learning_rate) = (5, 0.01);
    TrainingOptions { optimizer, averaging, augmentation, blocks, learning_rate, ..private(epochs) }
}

fn request(world: &World, shards: usize, epochs: f64) -> TrainingRequest {
    let (seed, shards) = (Some([7; 32]), NonZeroUsize::new(shards).unwrap());
    TrainingRequest { seed, shards, ..world.request(options(epochs)) }
}

/// A client of the world's trainer and of further ones.
fn client(world: &World, further: &[String]) -> SphinxClient {
    let endpoints = Endpoints { further_trainers: further.to_vec(), ..world.endpoints.clone() };
    SphinxClient::new(&endpoints).unwrap()
}

/// Another trainer on the world's store.
fn another(world: &World) -> Process {
    let store = world.dir.path().join("store");
    Process::trainer(store.to_str().unwrap(), &world.endpoints.keyvault)
}

/// Weights and biases of the newest version, by their bits.
async fn bits(world: &World) -> Vec<Vec<u32>> {
    let stages = world.client.export_model(&model_id(), &world.key).await.unwrap().stages;
    let vectors = stages.into_iter().flat_map(|stage| [stage.weights, stage.biases]);
    vectors.map(|vector| vector.into_iter().map(f32::to_bits).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_by_one_connection_and_by_several_end_in_the_same_bits() {
    let whole = World::with_model().await;
    let summary = whole.client.train_model(request(&whole, 1, 6.0), |_| true).await.unwrap();
    assert!(summary.steps > 5 && summary.averaged, "{summary:?}");
    let expected = bits(&whole).await;
    for shards in [2, 3, 5] {
        let world = World::with_model().await;
        let second = another(&world);
        let client = client(&world, &[second.url()]);
        let trained = client.train_model(request(&world, shards, 6.0), |_| true).await.unwrap();
        assert_eq!((trained.steps, trained.version), (summary.steps, summary.version));
        assert_eq!(bits(&world).await, expected, "{shards} shards");
        assert_eq!(world.spent(), whole.spent());
        // Each has masks of its own: what comes back is more, and bodies are as many as before.
        let (more, less) = (trained.traffic, summary.traffic);
        println!("{shards} shards: {more:?}, one connection: {less:?}");
        assert!(more.down > less.down && more.down < 2 * less.down, "{more:?} {less:?}");
        assert!(more.up < less.up + less.up / 20, "{more:?} {less:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_trainer_is_killed_costs_one_step_at_most() {
    let whole = World::with_model().await;
    let undisturbed = whole.client.train_model(request(&whole, 1, 40.0), |_| true).await.unwrap();
    let expected = bits(&whole).await;

    let world = World::with_model().await;
    let mut second = another(&world);
    let (client, request) = (client(&world, &[second.url()]), request(&world, 2, 40.0));
    let confirmed = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&confirmed);
    let training = tokio::spawn(async move {
        let note = move |progress: &Progress| {
            // Every step is reported once, in order.
            assert_eq!(seen.swap(progress.step, Ordering::SeqCst) + 1, progress.step);
            true
        };
        client.train_model(request, note).await
    });
    // The last time it stays away, and the first takes all blocks.
    for (target, returns) in
        [(4, true), (undisturbed.steps / 3, true), (undisturbed.steps / 2, false)]
    {
        while confirmed.load(Ordering::SeqCst) < target {
            assert!(!training.is_finished(), "it ended before step {target}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        second.kill();
        let (step, begun) = (confirmed.load(Ordering::SeqCst), std::time::Instant::now());
        if returns {
            second.restart();
        }
        while confirmed.load(Ordering::SeqCst) <= step {
            assert!(!training.is_finished() && begun.elapsed() < Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("killed after step {step}, the next one came {:?} later", begun.elapsed());
    }
    let summary = training.await.unwrap().unwrap();
    assert_eq!((summary.steps, summary.version), (undisturbed.steps, undisturbed.version));
    assert_eq!(bits(&world).await, expected);
    assert_eq!(world.spent(), whole.spent());
}

/// What a replica of the same store says that is asked to follow from a version.
async fn honest(trainer: &str, open: OpenSession, version: u64) -> SessionOpened {
    let open = OpenSession { follows: Some(version), ..open };
    let request = TrainRequest { part: Some(Asked::Open(open)), ..TrainRequest::default() };
    let mut trainer = TrainerClient::connect(trainer.to_owned()).await.unwrap();
    let requests = tokio_stream::iter([request]);
    let mut replies = trainer.train(requests).await.unwrap().into_inner();
    match replies.message().await.unwrap().unwrap().part {
        Some(Answered::Opened(opened)) => opened,
        other => panic!("{other:?}"),
    }
}

/// A trainer that stays at version 0, and says of later ones what an honest one would.
fn stale(real: &str) -> Trick {
    let (real, mut open, mut wanted) = (real.to_owned(), None, 0);
    Box::new(move |passing| {
        match passing {
            Passing::Asked(request) => match &mut request.part {
                Some(Asked::Open(asked)) => open = Some(asked.clone()),
                Some(Asked::Follow(Follow { version })) => wanted = std::mem::take(version),
                _ => {}
            },
            Passing::Answered(reply) => match &mut reply.part {
                Some(Answered::Followed(followed)) => {
                    let (real, open) = (real.clone(), open.clone().unwrap());
                    let asking = std::thread::spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread();
                        let runtime = { runtime }.enable_all().build().unwrap();
                        runtime.block_on(honest(&real, open, wanted))
                    });
                    let opened = asking.join().unwrap();
                    followed.version = wanted;
                    followed.chain = opened.state.unwrap().chain;
                    followed.working_sha256 = opened.working_sha256;
                }
                Some(Answered::Result(result)) => result.version = wanted,
                _ => {}
            },
            Passing::Described(..) => {}
        }
        Answer::Pass
    })
}

/// Alters one bit of a product backward.
fn wrong() -> Trick {
    let (mut asked, mut altered) = (None, false);
    Box::new(move |passing| {
        match passing {
            Passing::Asked(request) => {
                if let Some(Asked::Evaluate(call)) = &request.part {
                    asked = Some(call.direction());
                }
            }
            Passing::Answered(reply) => {
                if let Some(Answered::Output(rows)) = &mut reply.part
                    && asked == Some(Direction::Backward)
                    && !std::mem::replace(&mut altered, true)
                {
                    let mut bodies = rows.bodies.to_vec();
                    bodies[7] ^= 1;
                    rows.bodies = bodies.into();
                }
            }
            Passing::Described(..) => {}
        }
        Answer::Pass
    })
}

/// Moves on to another version than the one asked for, and says so.
fn elsewhere() -> Trick {
    Box::new(|passing| {
        if let Passing::Asked(request) = passing
            && let Some(Asked::Follow(Follow { version })) = &mut request.part
        {
            *version = 0;
        }
        Answer::Pass
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_lies_is_caught_before_anything_of_the_step_is_recorded_or_sent() {
    type Case = (&'static str, fn(&str) -> Trick, u64, Option<(usize, &'static str)>);
    let cases: [Case; 3] = [
        ("a wrong product", |_| wrong(), 0, Some((1, "backward"))),
        ("weights of an earlier version", stale, 1, Some((0, "forward"))),
        ("another version", |_| elsewhere(), 1, None),
    ];
    for (name, trick, kept, product) in cases {
        let world = World::with_model().await;
        let second = another(&world);
        let liar = LyingTrainer::start(&second.url(), trick(&second.url())).await;
        let client = client(&world, &[liar.url]);
        let home = tempfile::tempdir().unwrap();
        let suspects = Suspects::new(home.path().join("suspects"));
        let memory = Memory::new(suspects.clone(), SeenVersions::new(home.path().join("seen")));
        let reported = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&reported);
        let request = TrainingRequest { memory, ..request(&world, 2, 6.0) };
        let trained = client.train_model(request, move |made| {
            *seen.lock().unwrap() = made.step;
            true
        });
        let error = trained.await.expect_err(name);
        match (product, &error) {
            (
                Some(expected),
                ClientError::State(StateError::WrongProduct { version, stage, phase, .. }),
            ) => assert_eq!((*version, (*stage, *phase)), (kept, expected), "{name}"),
            (None, ClientError::State(StateError::OtherChain { version: 0, .. })) => {}
            _ => panic!("{name}: {error}"),
        }
        // Steps before it count, what was wrong does not.
        assert_eq!((world.version().await, world.spent().0), (kept, kept), "{name}");
        assert_eq!(*reported.lock().unwrap(), kept, "{name}");
        // Only a product is a reason to suspect the model.
        let mark = suspects.find(&model_id()).unwrap();
        assert_eq!(mark.map(|mark| mark.stage), product.map(|(stage, _)| stage), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_more_shards_than_blocks_and_trainers_of_other_stores() {
    let world = World::with_model().await;
    let error = world.client.train_model(request(&world, 6, 6.0), |_| true).await.unwrap_err();
    let ClientError::Training(TrainingError::Shards { got: 6, blocks: 5 }) = &error else {
        panic!("{error}")
    };
    let stranger = World::with_model().await;
    let nobody = World::start().await;
    let cases =
        [(&stranger, "is another than the one trained here"), (&nobody, "model m does not exist")];
    for (other, words) in cases {
        // Its key vault knows the key as well.
        let address = other.endpoints.trainer.clone();
        let client = client(&world, std::slice::from_ref(&address));
        let error = client.train_model(request(&world, 2, 6.0), |_| true).await.unwrap_err();
        let ClientError::Training(TrainingError::Shard { .. }) = &error else { panic!("{error}") };
        let text = error.to_string();
        assert!(text.contains(&address) && text.contains(words), "{text}");
        assert!(text.contains("need the same store"), "{text}");
    }
    assert_eq!((world.version().await, world.spent().0), (0, 0));
}
