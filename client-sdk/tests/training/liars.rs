//! Trainers that lie: each is caught before anything of the step is recorded or sent.

use std::collections::HashMap;
use std::path::Path;

use sphinx_client::{
    ClientError, Endpoints, Memory, MemoryError, Profile, Protocol, SeenVersions, SphinxClient,
    StateError, Suspects, TrainingError, TrainingOptions, TrainingRequest,
};
use sphinx_optimizer::OptimizerSpec;
use sphinx_privacy::ledger::LedgerError;
use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part as Asked;
use sphinx_proto::v1::train_response::Part as Answered;
use sphinx_proto::v1::{
    Committed, Direction, Evaluate, GetModelResponse, OutputRows, TrainResponse,
};
use sphinx_testbed::liar::{Answer, LyingTrainer, Passing, Trick};
use tempfile::TempDir;

use crate::world::{World, model_id, private};

/// Bytes of a row's mask, and of one of its bodies.
const ROW: usize = 2048 * 4;

/// A training of the world's model through a lying trainer, by a home that remembers.
struct Victim {
    home: TempDir,
    client: SphinxClient,
}

impl Victim {
    async fn new(world: &World, trick: Trick) -> Self {
        let liar = LyingTrainer::start(&world.endpoints.trainer, trick).await;
        let endpoints = Endpoints { trainer: liar.url, ..world.endpoints.clone() };
        let client = SphinxClient::new(&endpoints).unwrap();
        Self { home: tempfile::tempdir().unwrap(), client }
    }

    fn suspects(&self) -> Suspects {
        Suspects::new(self.home.path().join("suspects"))
    }

    fn request(&self, world: &World) -> TrainingRequest {
        let seen = SeenVersions::new(self.home.path().join("seen"));
        let memory = Memory::new(self.suspects(), seen);
        // Whole words of four bytes, which are easy to alter.
        let protocol = Protocol { profile: Some(Profile::Glwe2048T32), ..Protocol::default() };
        TrainingRequest { memory, protocol, ..world.request(private(4.0)) }
    }

    /// Trains at most `steps` steps.
    async fn train(&self, world: &World, steps: u64) -> Result<u64, ClientError> {
        let request = self.request(world);
        let trained = self.client.train_model(request, move |made| made.step < steps).await;
        trained.map(|summary| summary.version)
    }
}

/// Alters the answers to the products of one stage and direction.
fn products(
    stage: u32,
    direction: Direction,
    mut lie: impl FnMut(&mut OutputRows) + Send + 'static,
) -> Trick {
    let mut asked: HashMap<u64, Evaluate> = HashMap::new();
    let mut running = 0;
    Box::new(move |passing| {
        match passing {
            Passing::Asked(request) => {
                if let Some(Asked::Evaluate(call)) = &request.part {
                    asked.insert(call.call, *call);
                }
            }
            Passing::Answered(reply) => match &mut reply.part {
                Some(Answered::Result(result)) => running = result.call,
                Some(Answered::Output(rows)) => {
                    let call = asked[&running];
                    if (call.stage, call.direction()) == (stage, direction) {
                        lie(rows);
                    }
                }
                _ => {}
            },
            Passing::Described(..) => {}
        }
        Answer::Pass
    })
}

fn change(bytes: &mut bytes::Bytes, by: impl FnOnce(&mut [u8])) {
    let mut changed = bytes.to_vec();
    by(&mut changed);
    *bytes = changed.into();
}

/// Multiplies a ciphertext's polynomial by X: its slots move on by one, the last comes back
/// negated.
fn rotate(polynomial: &mut [u8]) {
    polynomial.rotate_right(4);
    let first = u32::from_le_bytes(polynomial[..4].try_into().unwrap()).wrapping_neg();
    polynomial[..4].copy_from_slice(&first.to_le_bytes());
}

/// Every way of a wrong product: its name, the trick, and where it has to show.
fn wrong_products() -> Vec<(&'static str, Trick, (usize, &'static str))> {
    use Direction::{Backward, Forward};
    let mut earlier: Option<OutputRows> = None;
    vec![
        (
            "the lowest bit of one slot",
            products(0, Forward, |rows| change(&mut rows.bodies, |bytes| bytes[0] ^= 1)),
            (0, "forward"),
        ),
        (
            "the highest bit of the last slot, which no example fills",
            products(1, Forward, |rows| {
                change(&mut rows.bodies, |bytes| *bytes.last_mut().unwrap() ^= 0x80);
            }),
            (1, "forward"),
        ),
        (
            "a coefficient of a mask",
            products(1, Backward, |rows| change(&mut rows.masks, |bytes| bytes[5] ^= 1)),
            (1, "backward"),
        ),
        (
            "a row of zeros",
            products(0, Forward, |rows| {
                change(&mut rows.masks, |bytes| bytes[..ROW].fill(0));
                change(&mut rows.bodies, |bytes| bytes[..ROW].fill(0));
            }),
            (0, "forward"),
        ),
        (
            "rows in each other's place",
            products(1, Forward, |rows| rows.rows.reverse()),
            (1, "forward"),
        ),
        (
            "slots moved on by one, a valid ciphertext",
            products(0, Forward, |rows| {
                change(&mut rows.masks, |bytes| bytes.chunks_exact_mut(ROW).for_each(rotate));
                change(&mut rows.bodies, |bytes| bytes.chunks_exact_mut(ROW).for_each(rotate));
            }),
            (0, "forward"),
        ),
        (
            "one unit more in every slot of a row",
            products(1, Backward, |rows| {
                change(&mut rows.bodies, |bytes| {
                    for word in bytes[..ROW].chunks_exact_mut(4) {
                        let more = u32::from_le_bytes(word.try_into().unwrap()).wrapping_add(1);
                        word.copy_from_slice(&more.to_le_bytes());
                    }
                });
            }),
            (1, "backward"),
        ),
        (
            "the answer to an earlier question",
            products(1, Backward, move |rows| {
                let now = rows.clone();
                if let Some(old) = earlier.replace(now).filter(|old| old.rows == rows.rows) {
                    *rows = old;
                }
            }),
            (1, "backward"),
        ),
        (
            "the product of other inputs",
            Box::new(|passing| {
                if let Passing::Asked(request) = passing
                    && let Some(Asked::Input(rows)) = &mut request.part
                {
                    change(&mut rows.bodies, |bytes| bytes.fill(7));
                }
                Answer::Pass
            }),
            (0, "forward"),
        ),
        (
            "a sparse mask, which shows bits of the key",
            products(1, Backward, |rows| {
                change(&mut rows.masks, |bytes| {
                    bytes.fill(0);
                    bytes.chunks_exact_mut(ROW).for_each(|mask| mask[3] = 0x80);
                });
                change(&mut rows.bodies, |bytes| {
                    bytes.fill(0);
                    bytes.chunks_exact_mut(4).for_each(|word| word[3] = 0x40);
                });
            }),
            (1, "backward"),
        ),
        (
            "another scale: twice the product",
            products(0, Forward, |rows| {
                let twice = |bytes: &mut [u8]| {
                    for word in bytes.chunks_exact_mut(4) {
                        let two = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(2);
                        word.copy_from_slice(&two.to_le_bytes());
                    }
                };
                change(&mut rows.masks, twice);
                change(&mut rows.bodies, twice);
            }),
            (0, "forward"),
        ),
        ("weights of the version before", stale(), (0, "forward")),
    ]
}

/// A trainer that throws commits away, says that it stored them, and computes with what it had.
fn stale() -> Trick {
    let (mut chain, mut thrown, mut step) = (bytes::Bytes::new(), 0, 0);
    Box::new(move |passing| {
        match passing {
            Passing::Asked(request) => match &request.part {
                Some(Asked::Commit(commit)) => {
                    (chain, step) = (commit.chain.clone(), commit.step);
                    return Answer::Nothing;
                }
                Some(Asked::CommitChunk(chunk)) => {
                    if !matches!(chunk.part, Some(Chunk::Sha256(_))) {
                        return Answer::Nothing;
                    }
                    thrown += 1;
                    let (version, chain) = (thrown, chain.clone());
                    let stored = Committed { step, version, repeated: false, chain };
                    let part = Some(Answered::Committed(stored));
                    return Answer::Instead(Box::new(TrainResponse { part }));
                }
                _ => {}
            },
            Passing::Answered(reply) => {
                if let Some(Answered::Result(result)) = &mut reply.part {
                    result.version += thrown;
                }
            }
            Passing::Described(..) => {}
        }
        Answer::Pass
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_product_is_caught_before_anything_of_the_step_is_recorded_or_sent() {
    for (name, trick, expected) in wrong_products() {
        let world = World::with_model().await;
        let victim = Victim::new(&world, trick).await;
        let error = victim.train(&world, 3).await.expect_err(name);
        let ClientError::State(StateError::WrongProduct { version, stage, phase, .. }) = &error
        else {
            panic!("{name}: {error}")
        };
        assert_eq!((*stage, *phase), expected, "{name}");
        // Steps before it count, what was wrong does not.
        assert_eq!(world.spent().0, *version, "{name}");
        let kept = if name.starts_with("weights") { 0 } else { *version };
        assert_eq!(world.version().await, kept, "{name}");

        // Its key is not used with this service again until somebody clears the mark.
        let mark = victim.suspects().find(&model_id()).unwrap().expect(name);
        assert_eq!((mark.stage, &*mark.phase, &*mark.key_id), (*stage, *phase, "laptop"), "{name}");
        let again =
            victim.client.train_model(victim.request(&world), |_| panic!("a step was made")).await;
        let refused = again.unwrap_err();
        let marked = ClientError::from(MemoryError::Suspect(Box::new(mark))).to_string();
        assert_eq!(refused.to_string(), marked, "{name}");
        assert!(victim.suspects().clear(&model_id()).unwrap(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_product_of_short_words_is_caught_alike() {
    let world = World::with_model().await;
    let lie = products(1, Direction::Backward, |rows| {
        // What the network gets by itself: 1024 words of three bytes.
        assert_eq!(rows.masks.len(), 3072 * rows.rows.len());
        change(&mut rows.bodies, |bytes| bytes[5] ^= 1);
    });
    let victim = Victim::new(&world, lie).await;
    let request = TrainingRequest { protocol: Protocol::default(), ..victim.request(&world) };
    let error = victim.client.train_model(request, |_| true).await.unwrap_err();
    let ClientError::State(wrong) = &error else { panic!("{error}") };
    assert!(
        matches!(wrong, StateError::WrongProduct { stage: 1, phase: "backward", .. }),
        "{wrong}"
    );
    assert_eq!((world.version().await, world.spent().0), (0, 0));
}

/// Alters what the trainer says of a model that has been trained for two steps.
fn description(lie: impl Fn(&mut GetModelResponse) + Send + 'static) -> Trick {
    Box::new(move |passing| {
        if let Passing::Described(_, reply) = passing {
            lie(reply);
        }
        Answer::Pass
    })
}

fn flipped(bytes: &mut bytes::Bytes) {
    if !bytes.is_empty() {
        change(bytes, |bytes| bytes[0] ^= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_the_one_left_is_neither_opened_nor_trained() {
    type Check = fn(&ClientError) -> bool;
    let rows: Vec<(&str, Trick, Check)> = vec![
        ("other weights", description(|reply| flipped(&mut reply.weights)), |error| {
            matches!(error, ClientError::State(StateError::Weights { version: 2, .. }))
        }),
        ("other moments", description(|reply| flipped(&mut reply.optimizer)), |error| {
            matches!(error, ClientError::State(StateError::Weights { version: 2, .. }))
        }),
        (
            "other biases",
            description(|reply| {
                reply.state.as_mut().into_iter().for_each(|state| flipped(&mut state.sealed));
            }),
            |error| matches!(error, ClientError::State(StateError::Sealed { version: 2, .. })),
        ),
        (
            "another network",
            description(|reply| {
                let network = reply.model.as_mut().and_then(|model| model.network.as_mut());
                network.into_iter().for_each(|network| network.bias_bound *= 2.0);
            }),
            |error| matches!(error, ClientError::State(StateError::Sealed { .. })),
        ),
        (
            "another life of the model",
            description(|reply| {
                reply.model.as_mut().into_iter().for_each(|model| flipped(&mut model.incarnation));
            }),
            |error| matches!(error, ClientError::State(StateError::Sealed { .. })),
        ),
        (
            "the hash of another history",
            description(|reply| {
                reply.state.as_mut().into_iter().for_each(|state| flipped(&mut state.chain));
            }),
            |error| matches!(error, ClientError::State(StateError::OtherChain { .. })),
        ),
        (
            "the weights' hash of another version",
            description(|reply| {
                let state = reply.state.as_mut();
                state.into_iter().for_each(|state| flipped(&mut state.weights_sha256));
            }),
            |error| matches!(error, ClientError::State(StateError::Sealed { .. })),
        ),
    ];
    let world = World::with_model().await;
    let options =
        TrainingOptions { optimizer: OptimizerSpec::ADAM, learning_rate: 0.01, ..private(4.0) };
    world.client.train_model(world.request(options), |made| made.step < 2).await.unwrap();
    for (name, trick, expected) in rows {
        let victim = Victim::new(&world, trick).await;
        let error = victim.train(&world, 3).await.expect_err(name);
        assert!(expected(&error), "{name}: {error}");
        assert_eq!((world.version().await, world.spent().0), (2, 2), "{name}");
        // Nothing of this is a product: accidents can do it, and there is no mark.
        assert_eq!(victim.suspects().find(&model_id()).unwrap(), None, "{name}");
    }
    // Nothing is the matter with the model.
    let honest = Victim::new(&world, Box::new(|_| Answer::Pass)).await;
    assert_eq!(honest.train(&world, 3).await.unwrap(), 5);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_goes_back_to_an_older_version_is_found_out_by_the_ledger() {
    let mut world = World::with_model().await;
    let (store, older) = (world.dir.path().join("store"), world.dir.path().join("older"));
    let train = async |world: &World| {
        world.client.train_model(world.request(private(4.0)), |_| false).await
    };
    assert_eq!(train(&world).await.unwrap().version, 1);
    copy(&store, &older);
    assert_eq!(train(&world).await.unwrap().version, 2);

    world.trainer.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&older, &store);
    world.trainer.restart();
    let error = train(&world).await.unwrap_err();
    let expected = LedgerError::ServerRolledBack { ledger: 2, server: 1 };
    let ClientError::Training(TrainingError::Ledger(got)) = &error else { panic!("{error}") };
    assert_eq!(*got, expected);
    assert_eq!((world.version().await, world.spent()), (1, (2, 2)));
}
