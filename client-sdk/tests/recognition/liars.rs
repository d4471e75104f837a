//! Inference services that lie: each is caught, the model marked, and its tickets gone, or nothing
//! of the kind where the lie is no wrong product.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sphinx_client::one_shot::OneShot;
use sphinx_client::recognition::Recogniser;
use sphinx_client::tickets::{SupplyOptions, TicketSupply};
use sphinx_client::{
    ClientError, Endpoints, Memory, MemoryError, ModelId, SeenVersions, SphinxClient, StateError,
    Suspects,
};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, FetchWeightsRequest, FetchWeightsResponse,
    InferOnceRequest, InferOnceResponse, InferRequest, InferResponse, PrepareResponse,
    SyncTicketsRequest, SyncTicketsResponse,
};
use sphinx_testbed::liar::{Liar, Lie, Lies};
use tempfile::TempDir;
use tonic::Status;

use crate::agreement::test_images;
use crate::supply::store;
use crate::world::{Model, World};

/// A predictor's home, and a recogniser that asks a liar.
struct Victim {
    home: TempDir,
    liar: Liar,
    recogniser: Recogniser,
}

fn memory(home: &TempDir) -> Memory {
    let path = |name: &str| home.path().join(name);
    Memory::new(Suspects::new(path("suspects")), SeenVersions::new(path("seen")))
}

fn suspects(home: &TempDir) -> Suspects {
    Suspects::new(home.path().join("suspects"))
}

async fn open(
    world: &World,
    model: &Model,
    home: &TempDir,
    url: &str,
) -> Result<Recogniser, ClientError> {
    let endpoints = Endpoints { inference: url.to_owned(), ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    Recogniser::remembering(&client, world.read_key(model), memory(home)).await
}

async fn victim(world: &World, model: &Model, lies: Lies) -> Victim {
    let home = tempfile::tempdir().unwrap();
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let recogniser = open(world, model, &home, &liar.url).await.unwrap();
    Victim { home, liar, recogniser }
}

fn infer(
    lie: impl Fn(&InferRequest, &mut InferResponse) + Send + Sync + 'static,
) -> Option<Lie<InferRequest, InferResponse>> {
    Some(Box::new(move |asked, reply| {
        lie(asked, reply);
        Ok(())
    }))
}

fn prepare(
    lie: impl Fn(u32, &mut PrepareResponse) + Send + Sync + 'static,
) -> Option<Lie<u32, PrepareResponse>> {
    Some(Box::new(move |stage, reply| {
        lie(*stage, reply);
        Ok(())
    }))
}

/// Changes bits of an answer's bytes from `at` on.
fn flip(reply: &mut InferResponse, at: usize, mask: u8) {
    let mut values = reply.values.to_vec();
    values[at] ^= mask;
    reply.values = values.into();
}

/// Replaces the answer to images of a stage by those of `by`.
fn reorder(reply: &mut InferResponse, images: usize, by: impl Fn(usize) -> usize) {
    let size = reply.values.len() / images;
    let order = (0..images).flat_map(|image| reply.values[by(image) * size..][..size].to_vec());
    reply.values = order.collect::<Vec<u8>>().into();
}

/// The stage of the product that was found to be wrong.
fn wrong_stage(error: &ClientError) -> usize {
    match error {
        ClientError::State(StateError::WrongProduct { stage, phase: "recognition", .. }) => *stage,
        other => panic!("{other}"),
    }
}

/// Every way of a wrong product, in a batch of three images by `lola` (three stages): what is lied
/// about, and the stage where it has to show.
fn wrong_products() -> Vec<(&'static str, Lies, usize)> {
    let lies = Lies::default;
    let replayed: Mutex<Option<InferResponse>> = Mutex::default();
    vec![
        (
            "the lowest bit of one output",
            Lies { infer: infer(|_, reply| flip(reply, 0, 1)), ..lies() },
            0,
        ),
        (
            "the highest bit of the last output of the last image",
            Lies {
                infer: infer(|asked, reply| {
                    let last = reply.values.len() - 1;
                    let mask = 0x80 >> reply.values[last].leading_zeros().min(7);
                    if asked.stage == 2 {
                        flip(reply, last, mask);
                    }
                }),
                ..lies()
            },
            2,
        ),
        (
            "images in another order",
            Lies { infer: infer(|_, reply| reorder(reply, 3, |image| (image + 1) % 3)), ..lies() },
            0,
        ),
        (
            "one image's answer for all, in the second layer",
            Lies {
                infer: infer(|asked, reply| {
                    if asked.stage == 1 {
                        reorder(reply, 3, |_| 1);
                    }
                }),
                ..lies()
            },
            1,
        ),
        (
            "the answer to an earlier question",
            Lies {
                infer: infer(move |asked, reply| {
                    if asked.stage == 0 {
                        let mut replayed = replayed.lock().unwrap();
                        let earlier = replayed.replace(reply.clone());
                        *reply = earlier.unwrap_or_else(|| reply.clone());
                    }
                }),
                ..lies()
            },
            0,
        ),
        (
            "zeros",
            Lies {
                infer: infer(|_, reply| reply.values = vec![0; reply.values.len()].into()),
                ..lies()
            },
            0,
        ),
        (
            "another version computed, this one claimed",
            Lies {
                question: Some(Box::new(|_, asked| {
                    asked.version -= 1;
                    Ok(())
                })),
                infer: infer(|_, reply| reply.version += 1),
                ..lies()
            },
            0,
        ),
        (
            "a ticket's slot",
            // The first slot of a row: half a step and more beside the right phase.
            Lies {
                prepare: prepare(|stage, reply| {
                    if let (1, Some(Part::Output(output))) = (stage, &mut reply.part) {
                        let mut bodies = output.bodies.to_vec();
                        // Top bytes are the first plane.
                        bodies[3] ^= 0x40;
                        output.bodies = bodies.into();
                    }
                }),
                ..lies()
            },
            1,
        ),
        (
            "rows of a preparation in each other's place",
            Lies {
                prepare: prepare(|stage, reply| {
                    if let (2, Some(Part::Output(output))) = (stage, &mut reply.part) {
                        output.rows.reverse();
                    }
                }),
                ..lies()
            },
            2,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_product_is_caught_and_is_the_end_of_the_model() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    world.commit(&mut model).await;
    let images = test_images(3);
    for (name, lies, stage) in wrong_products() {
        let Victim { home, liar, recogniser } = victim(&world, &model, lies).await;
        let directory = tempfile::tempdir().unwrap();
        let store = store(&world, &directory, &recogniser);
        let mut book = recogniser.prepare(9, &mut world.rng).await.unwrap();
        let kept = recogniser.prepare(2, &mut world.rng).await.unwrap();
        recogniser.keep(&store, kept).await.unwrap();
        // The answer that is replayed has to be another one.
        let earlier = book.take_many(3).unwrap();
        let first = recogniser.infer_batch(earlier, &images).await;
        let error = match first {
            Err(error) => error,
            Ok(_) => {
                let tickets = book.take_many(3).unwrap();
                recogniser.infer_batch(tickets, &images).await.unwrap_err()
            }
        };
        assert_eq!(wrong_stage(&error), stage, "{name}: {error}");
        // Tickets are gone, in memory and on the disk.
        assert_eq!((book.len(), book.take().is_err()), (0, true), "{name}");
        assert!(store.status().unwrap().blocks.is_empty(), "{name}");
        // Nothing is sent any more, by nobody who shares the recogniser.
        let calls = liar.calls();
        for refused in [
            recogniser.prepare(1, &mut world.rng).await.err(),
            recogniser.clone().refreshed().await.err(),
            recogniser.take_stored(&store, 1).await.err(),
        ] {
            assert_eq!(wrong_stage(&refused.unwrap()), stage, "{name}");
        }
        assert_eq!(liar.calls(), calls, "{name}");
        // The mark outlives the process, and says what was wrong.
        let mark = suspects(&home).find(&model.id).unwrap().unwrap();
        assert_eq!((mark.version, mark.stage, &*mark.key_id), (2, stage, "mine"), "{name}");
        let refused = open(&world, &model, &home, &liar.url).await.unwrap_err();
        assert!(
            matches!(refused, ClientError::Memory(MemoryError::Suspect(_))),
            "{name}: {refused}"
        );
        assert_eq!(liar.calls(), calls, "{name}");
        assert!(suspects(&home).clear(&model.id).unwrap());
        open(&world, &model, &home, &world.endpoints.inference).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_repair_is_caught_when_its_first_ticket_is_used() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let sync: Lie<SyncTicketsRequest, SyncTicketsResponse> = Box::new(|_, message| {
        if let Some(difference) = message.difference.as_mut().filter(|of| of.stage == 1) {
            let mut values = difference.values.to_vec();
            values[0] ^= 1;
            difference.values = values.into();
        }
        Ok(())
    });
    let lies = Lies { sync: Some(sync), ..Lies::default() };
    let Victim { home, recogniser, .. } = victim(&world, &model, lies).await;
    let mut book = recogniser.prepare(5, &mut world.rng).await.unwrap();
    world.commit(&mut model).await;
    let recogniser = recogniser.refreshed().await.unwrap();
    assert_eq!(recogniser.repair(&mut book).await.unwrap().repaired, 5);
    let ticket = book.take().unwrap();
    let error = recogniser.infer(ticket, &test_images(1)[0]).await.unwrap_err();
    assert_eq!(wrong_stage(&error), 1, "{error}");
    assert_eq!(book.len(), 0);
    assert_eq!(suspects(&home).list().unwrap().len(), 1);
}

/// Lies about what a version is: refused when it is opened, and no sign of a wrong product.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_versions_that_are_not_as_their_owner_left_them() {
    type Describe = fn(&mut DescribeModelResponse);
    fn described(lie: Describe) -> Option<Lie<DescribeModelRequest, DescribeModelResponse>> {
        Some(Box::new(move |_, reply| {
            lie(reply);
            Ok(())
        }))
    }
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    world.commit(&mut model).await;
    let weights: Lie<FetchWeightsRequest, FetchWeightsResponse> = Box::new(|_, part| {
        let mut weights = part.weights.to_vec();
        weights[2] ^= 1;
        part.weights = weights.into();
        Ok(())
    });
    type Right = fn(&StateError) -> bool;
    let sealed: Right = |error| matches!(error, StateError::Sealed { .. });
    let of_weights: Right = |error| matches!(error, StateError::Weights { version: 2, .. });
    let chain: Right = |error| matches!(error, StateError::OtherChain { version: 2, .. });
    let build: Right = |error| matches!(error, StateError::OtherBuild { .. });
    let cases: Vec<(&str, Lies, Right)> = vec![
        ("other weights", Lies { weights: Some(weights), ..Lies::default() }, of_weights),
        (
            "another sealed state",
            Lies {
                describe: described(|reply| {
                    let state = reply.state.as_mut().unwrap();
                    let mut bytes = state.sealed.to_vec();
                    bytes[40] ^= 1;
                    state.sealed = bytes.into();
                }),
                ..Lies::default()
            },
            sealed,
        ),
        (
            "another optimiser",
            Lies {
                describe: described(|reply| {
                    reply.state.as_mut().unwrap().optimizer_sha256 = vec![7; 32].into();
                }),
                ..Lies::default()
            },
            sealed,
        ),
        (
            "another bias bound",
            Lies {
                describe: described(|reply| {
                    reply.network.as_mut().unwrap().bias_bound = 2.0;
                }),
                ..Lies::default()
            },
            sealed,
        ),
        (
            "another gradient",
            Lies {
                describe: described(|reply| {
                    reply.state.as_mut().unwrap().gradient_sha256 = vec![7; 32].into();
                }),
                ..Lies::default()
            },
            chain,
        ),
        (
            "other scales",
            Lies {
                describe: described(|reply| reply.stages[1].scales[0] *= 2.0),
                ..Lies::default()
            },
            build,
        ),
    ];
    for (name, lies, right) in cases {
        let home = tempfile::tempdir().unwrap();
        let liar = Liar::start(&world.endpoints.inference, lies).await;
        let error = open(&world, &model, &home, &liar.url).await.unwrap_err();
        match &error {
            ClientError::State(error) => assert!(right(error), "{name}: {error}"),
            other => panic!("{name}: {other}"),
        }
        assert!(suspects(&home).list().unwrap().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_model_that_went_back_to_an_older_copy() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let old = model.newest.version;
    for _ in 0..2 {
        world.commit(&mut model).await;
    }
    let back = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&back);
    let real = world.endpoints.inference.clone();
    let earlier = {
        let mut client =
            sphinx_proto::v1::inference_client::InferenceClient::connect(real).await.unwrap();
        let request = DescribeModelRequest { model_id: model.id.to_string(), version: Some(old) };
        client.describe_model(request).await.unwrap().into_inner()
    };
    let describe: Lie<DescribeModelRequest, DescribeModelResponse> = Box::new(move |_, reply| {
        if told.load(Ordering::SeqCst) > 0 {
            *reply = earlier.clone();
        }
        Ok(())
    });
    let lies = Lies { describe: Some(describe), ..Lies::default() };
    let Victim { home, liar, recogniser } = victim(&world, &model, lies).await;
    back.store(1, Ordering::SeqCst);
    let older = |error: ClientError| match error {
        ClientError::State(StateError::OlderVersion { got, seen, .. }) => (got, seen),
        other => panic!("{other}"),
    };
    // By a program that runs, and by the next one.
    assert_eq!(older(recogniser.refreshed().await.unwrap_err()), (1, 3));
    assert_eq!(older(open(&world, &model, &home, &liar.url).await.unwrap_err()), (1, 3));
    // Whoever has never seen the newer version cannot know.
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(open(&world, &model, &fresh, &liar.url).await.unwrap().version(), 1);
    assert!(suspects(&home).list().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supply_closes_and_loses_its_tickets_when_an_answer_is_wrong() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let count = AtomicUsize::new(0);
    let lies = Lies {
        infer: infer(move |_, reply| {
            // The third of the second image.
            if count.fetch_add(1, Ordering::SeqCst) == 5 {
                flip(reply, 0, 2);
            }
        }),
        ..Lies::default()
    };
    let Victim { liar, recogniser, .. } = victim(&world, &model, lies).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store(&world, &directory, &recogniser);
    let tickets = recogniser.prepare(100, &mut world.rng).await.unwrap();
    recogniser.keep(&store, tickets).await.unwrap();
    let options = SupplyOptions { low_water: 0, lease: 8, ..SupplyOptions::default() };
    let supply = TicketSupply::start(recogniser, Arc::clone(&store), options);
    let images = test_images(2);
    let right = supply.infer(&images[0]).await.unwrap();
    assert_eq!(right.logits, model.clear.classify(&images[0]).unwrap());
    assert_eq!(wrong_stage(&supply.infer(&images[1]).await.unwrap_err()), 2);
    let calls = liar.calls();
    assert_eq!(wrong_stage(&supply.ticket().await.unwrap_err()), 2);
    assert_eq!(wrong_stage(&supply.refresh().await.unwrap_err()), 2);
    supply.close().await.unwrap();
    assert_eq!(liar.calls(), calls);
    assert!(store.status().unwrap().blocks.is_empty());
    assert_eq!(supply.metrics().ready, 0);
}

/// Lines that break are no lies: the model is not marked, and the tickets stay.
#[tokio::test(flavor = "multi_thread")]
async fn broken_lines_and_malformed_answers_mark_nothing() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let lies = Lies {
        question: Some(Box::new(|before, _| match before {
            0 | 1 => Err(Status::unavailable("the line broke")),
            _ => Ok(()),
        })),
        infer: infer(|asked, reply| {
            if asked.stage == 2 {
                reply.values = reply.values.slice(1..);
            }
        }),
        ..Lies::default()
    };
    let Victim { home, recogniser, .. } = victim(&world, &model, lies).await;
    let mut book = recogniser.prepare(3, &mut world.rng).await.unwrap();
    let asked = recogniser.infer(book.take().unwrap(), &test_images(1)[0]).await;
    assert!(matches!(asked.unwrap_err(), ClientError::Channel(_)));
    assert_eq!(book.len(), 2);
    let model_id: &ModelId = &model.id;
    assert_eq!(suspects(&home).find(model_id).unwrap(), None);
    let honest = world.recogniser(&model).await;
    let answer = honest.infer(book.take().unwrap(), &test_images(1)[0]).await.unwrap();
    assert_eq!(answer.logits, model.clear.classify(&test_images(1)[0]).unwrap());
}

/// Answers in one shot are no products: canaries among them are all there is.
#[tokio::test(flavor = "multi_thread")]
async fn canaries_find_out_who_answers_wrongly_in_one_shot() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let keys = world.key.evaluation_keys(OneShotProfile::Standard, &mut world.rng).unwrap();
    let keys = keys.to_bytes().unwrap().into();
    world.client().register_evaluation_keys(&world.key_id, &keys, "").await.unwrap();
    let images = test_images(2);

    let (client, key, read_key) = (world.client(), &world.key, world.read_key(&model));
    let honest = OneShot::new(&client, Arc::clone(key), Arc::clone(&read_key)).await.unwrap();
    let honest = honest.with_canaries(0.6).unwrap();
    while honest.canaries() < 3 {
        let seen = honest.infer_many(&images, &mut world.rng).await.unwrap();
        assert_eq!(seen.len(), 2, "canaries are no answers");
        for (image, seen) in images.iter().zip(seen) {
            let clear = model.clear.classify(image).unwrap();
            let pairs = clear.iter().zip(&seen.logits);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2.0, "the answer to another image: off by {worst}");
        }
    }

    let infer_once: Lie<InferOnceRequest, InferOnceResponse> = Box::new(|_, answer| {
        let mut bodies = answer.bodies.to_vec();
        // The top bit of the first logit.
        bodies[3] ^= 0x80;
        answer.bodies = bodies.into();
        Ok(())
    });
    let lies = Lies { infer_once: Some(infer_once), ..Lies::default() };
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let endpoints = Endpoints { inference: liar.url.clone(), ..world.endpoints.clone() };
    let (client, home) = (SphinxClient::new(&endpoints).unwrap(), tempfile::tempdir().unwrap());
    let asked = OneShot::remembering(&client, Arc::clone(key), read_key, memory(&home)).await;
    let asked = asked.unwrap().with_canaries(0.6).unwrap();
    let error = loop {
        // Who has sent no canary yet knows nothing.
        match asked.infer_many(&images, &mut world.rng).await {
            Ok(_) => assert_eq!(asked.canaries(), 0),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, ClientError::State(StateError::WrongProduct { phase: "one shot", .. })),
        "{error}"
    );
    let mark = suspects(&home).find(&model.id).unwrap().unwrap();
    assert_eq!((mark.version, &*mark.phase), (1, "one shot"));
    let calls = liar.calls();
    assert!(asked.infer(&images[0], &mut world.rng).await.is_err());
    assert_eq!(liar.calls(), calls, "nothing is sent any more");
}
