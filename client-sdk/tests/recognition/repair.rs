//! Tickets of one version brought to another.

use sphinx_client::recognition::{GivenUp, Recogniser, Repair, TicketBook, Unrepairable};
use sphinx_client::{ChannelError, ClientError, RecognitionError};
use sphinx_network::{NetworkSpec, StageParameters};
use sphinx_proto::v1::{SyncTicketsRequest, SyncTicketsResponse};
use sphinx_testbed::liar::{Liar, Lie, Lies};

use crate::agreement::test_images;
use crate::refusals::{fresh_recogniser, fresh_service};
use crate::world::{Model, World};

/// Recognises images with the next tickets and compares all logits with the newest version in the
/// clear.
async fn check(recogniser: &Recogniser, model: &Model, book: &mut TicketBook, images: &[Vec<f32>]) {
    let tickets = book.take_many(images.len()).unwrap();
    assert!(tickets.iter().all(|ticket| ticket.version() == recogniser.version()));
    let predictions = recogniser.infer_batch(tickets, images).await.unwrap();
    for (index, (image, prediction)) in images.iter().zip(&predictions).enumerate() {
        assert_eq!(prediction.logits, model.clear.classify(image).unwrap(), "image {index}");
    }
}

fn bits(model: &Model) -> Vec<u32> {
    model.clear.stages().map(|stage| stage.modulus_bits).collect()
}

/// All weights of the largest size: sums that need more bits than those of random weights.
fn full(parameters: &mut [StageParameters]) {
    for weight in parameters.iter_mut().flat_map(|stage| &mut stage.weights) {
        *weight = 0.1f32.copysign(*weight);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repaired_tickets_are_exact_for_versions_that_need_more_bits_and_fewer() {
    let mut world = World::start().await;
    let images = test_images(40);
    for name in ["sphinx-mnist", "lola"] {
        let mut model = world.model(name).await;
        let mut recogniser = world.recogniser(&model).await;
        // Not a multiple of the tickets that are repaired together.
        let mut book = recogniser.prepare(151, &mut world.rng).await.unwrap();
        let first = bits(&model);
        check(&recogniser, &model, &mut book, &images[..10]).await;
        world.commit_with(&mut model, full).await;
        let wide = bits(&model);
        assert!(wide.iter().zip(&first).any(|(wide, first)| wide > first), "{wide:?} {first:?}");
        recogniser = recogniser.refreshed().await.unwrap();
        let repair = recogniser.repair(&mut book).await.unwrap();
        assert_eq!(repair, Repair { repaired: 141, ..Repair::default() });
        check(&recogniser, &model, &mut book, &images[..20]).await;
        world.commit(&mut model).await;
        recogniser = recogniser.refreshed().await.unwrap();
        assert_eq!(recogniser.version(), 3);
        // Tickets of two versions in one book.
        book.append(recogniser.prepare(3, &mut world.rng).await.unwrap());
        let repair = recogniser.repair(&mut book).await.unwrap();
        assert_eq!(repair, Repair { unchanged: 3, repaired: 121, given_up: Vec::new() });
        assert_eq!(book.len(), 124);
        check(&recogniser, &model, &mut book, &images).await;
        let repair = recogniser.repair(&mut book).await.unwrap();
        assert_eq!(repair, Repair { unchanged: 84, ..Repair::default() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_versions_no_longer_kept_are_prepared_anew() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let mut book = world.recogniser(&model).await.prepare(20, &mut world.rng).await.unwrap();
    for _ in 0..10 {
        world.commit(&mut model).await;
    }
    // A service that has never loaded the old version.
    let fresh = fresh_service(&world).await;
    let recogniser = fresh_recogniser(&world, &model, fresh).await;
    let repair = recogniser.renew(&mut book, &mut world.rng).await.unwrap();
    let gone = GivenUp { version: 1, tickets: 20, cause: Unrepairable::VersionGone };
    assert_eq!(repair, Repair { given_up: vec![gone], ..Repair::default() });
    assert_eq!((repair.lost(), book.len()), (20, 20));
    check(&recogniser, &model, &mut book, &test_images(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_another_model_and_of_tiny_networks_are_prepared_anew() {
    let mut world = World::start().await;
    let (one, other) = (world.model("mlp-100").await, world.model("lola").await);
    let mut book = world.recogniser(&one).await.prepare(2, &mut world.rng).await.unwrap();
    let repair = world.recogniser(&other).await.repair(&mut book).await.unwrap();
    let foreign = GivenUp { version: 1, tickets: 2, cause: Unrepairable::OtherModel };
    assert_eq!((repair.given_up, book.len()), (vec![foreign], 0));

    let spec = "name = \"tiny\"\ninput = { channels = 1, height = 3, width = 3 }\n\
                [[layers]]\nkind = \"dense\"\noutputs = 3\n";
    let mut tiny = world.model_of(NetworkSpec::from_toml(spec).unwrap()).await;
    let recogniser = world.recogniser(&tiny).await;
    let mut book = recogniser.prepare(1, &mut world.rng).await.unwrap();
    world.commit(&mut tiny).await;
    let recogniser = recogniser.refreshed().await.unwrap();
    let before = recogniser.traffic();
    let repair = recogniser.repair(&mut book).await.unwrap();
    assert!(
        matches!(
            repair.given_up.as_slice(),
            [GivenUp { tickets: 1, cause: Unrepairable::Dearer { .. }, .. }]
        ),
        "{repair:?}"
    );
    // Not even asked for.
    assert_eq!((recogniser.traffic(), book.len()), (before, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_models_that_were_deleted_or_made_again() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let recogniser = world.recogniser(&model).await;
    let gone = |result: Result<Recogniser, ClientError>| match result.unwrap_err() {
        ClientError::Recognition(RecognitionError::ModelGone { model }) => {
            assert_eq!(model, "mlp-100")
        }
        other => panic!("{other}"),
    };
    world.models().delete(&model.meta.tenant, &model.id).await.unwrap();
    gone(recogniser.refreshed().await);
    world.model("mlp-100").await;
    gone(recogniser.refreshed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_differences_that_do_not_fit_and_keeps_the_tickets() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let sync: Lie<SyncTicketsRequest, SyncTicketsResponse> = Box::new(|_, message| {
        message.difference.as_mut().unwrap().first += 1;
        Ok(())
    });
    let lies = Lies { sync: Some(sync), ..Lies::default() };
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let recogniser = fresh_recogniser(&world, &model, liar.url).await;
    let mut book = recogniser.prepare(5, &mut world.rng).await.unwrap();
    world.commit(&mut model).await;
    let recogniser = recogniser.refreshed().await.unwrap();
    let error = recogniser.repair(&mut book).await.unwrap_err();
    assert!(matches!(error, ClientError::Channel(ChannelError::Protocol { .. })), "{error}");
    assert_eq!(book.len(), 5);
    // The tickets are as they were: the service itself repairs them.
    let honest = world.recogniser(&model).await;
    assert_eq!(honest.repair(&mut book).await.unwrap().repaired, 5);
    check(&honest, &model, &mut book, &test_images(5)).await;
}
