//! What must not work, and says why.

use std::sync::Arc;

use sphinx_client::recognition::Recogniser;
use sphinx_client::{
    ChannelError, ClientError, Endpoints, ModelName, RecognitionError, SphinxClient, StateError,
};
use sphinx_proto::v1::prepare_response::Part;
use sphinx_proto::v1::{InferRequest, InferResponse, PrepareOutput, PrepareResponse};
use sphinx_secret::RootKey;
use sphinx_testbed::liar::{Liar, Lie, Lies};
use tonic::Code;

use crate::world::{Model, World};

fn recognition_error<T: std::fmt::Debug>(result: Result<T, ClientError>) -> RecognitionError {
    match result.unwrap_err() {
        ClientError::Recognition(error) => error,
        other => panic!("{other}"),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Code {
    match result.unwrap_err() {
        ClientError::Channel(ChannelError::Refused { code, .. }) => code,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_used_and_missing_tickets() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let recogniser = world.recogniser(&model).await;
    let mut book = recogniser.prepare(3, &mut world.rng).await.unwrap();
    let ticket = book.take_at(1).unwrap();
    recogniser.infer(ticket, &[0.5; 784]).await.unwrap();
    assert_eq!(book.take_at(1).unwrap_err(), RecognitionError::TicketUsed { index: 1 });
    let missing = RecognitionError::NoTicket { index: 3, count: 3 };
    assert_eq!(book.take_at(3).unwrap_err(), missing);
    assert_eq!(book.len(), 2);
    let exhausted = RecognitionError::TicketsExhausted { needed: 3, left: 2 };
    assert_eq!(book.take_many(3).unwrap_err(), exhausted);
    book.take().unwrap();
    book.take().unwrap();
    let exhausted = RecognitionError::TicketsExhausted { needed: 1, left: 0 };
    assert_eq!(book.take().unwrap_err(), exhausted);
    for got in [0, 2049] {
        let refused = recogniser.prepare(got, &mut world.rng).await;
        let count = RecognitionError::TicketCount { got, limit: 2048 };
        assert_eq!(recognition_error(refused), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_images_and_tickets_that_do_not_fit() {
    let mut world = World::start().await;
    let (model, other) = (world.model("mlp-100").await, world.model("lola").await);
    let recogniser = world.recogniser(&model).await;
    let mut book = recogniser.prepare(3, &mut world.rng).await.unwrap();
    let refused = recogniser.infer(book.take().unwrap(), &[0.5; 783]).await;
    let size = RecognitionError::ImageSize { got: 783, expected: 784 };
    assert_eq!(recognition_error(refused), size);
    let pairs = RecognitionError::Pairs { tickets: 1, images: 2 };
    let refused = recogniser.infer_batch(book.take_many(1).unwrap(), &[[0.5; 784]; 2]).await;
    assert_eq!(recognition_error(refused), pairs);
    let refused = world.recogniser(&other).await.infer(book.take().unwrap(), &[0.5; 784]).await;
    let (got, expected) = ("mlp-100".to_owned(), "lola".to_owned());
    assert_eq!(recognition_error(refused), RecognitionError::ForeignTicket { got, expected });
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_other_keys_and_unknown_models() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let client = world.client();
    let name = |change: fn(&mut ModelName)| {
        let mut name = world.read_key(&model).model().clone();
        change(&mut name);
        name
    };
    let open = async |root: &RootKey, name: &ModelName| {
        Recogniser::new(&client, Arc::new(root.read_key(name))).await
    };
    let unknown = name(|name| name.model = "nobody".to_owned());
    assert_eq!(code(open(&world.root, &unknown).await), Code::NotFound);
    let other = name(|name| name.incarnation[0] ^= 1);
    let gone = RecognitionError::ModelGone { model: "mlp-100".to_owned() };
    assert_eq!(recognition_error(open(&world.root, &other).await), gone);
    // The right name, but not the key itself: shows before anything is encrypted.
    let stranger = RootKey::generate(&mut rand::rng());
    let error = open(&stranger, &name(|_| ())).await.unwrap_err();
    assert!(matches!(error, ClientError::State(StateError::Sealed { version: 1, .. })), "{error}");
    assert!(open(&world.root, &name(|_| ())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_outlive_an_update_but_not_their_versions() {
    let mut world = World::start().await;
    let mut model = world.model("mlp-100").await;
    let image = [0.25; 784];
    let old = world.recogniser(&model).await;
    let mut tickets = old.prepare(2, &mut world.rng).await.unwrap();
    let old_clear = model.clear.clone();
    world.commit(&mut model).await;
    let new = world.recogniser(&model).await;
    assert_eq!((old.version(), new.version()), (1, 2));
    // A ticket brings its own version, whichever recogniser spends it.
    let answer = new.infer(tickets.take().unwrap(), &image).await.unwrap();
    assert_eq!(answer.logits, old_clear.classify(&image).unwrap());
    let mut new_tickets = new.prepare(1, &mut world.rng).await.unwrap();
    let answer = new.infer(new_tickets.take().unwrap(), &image).await.unwrap();
    assert_eq!(answer.logits, model.clear.classify(&image).unwrap());
    assert_ne!(answer.logits, old_clear.classify(&image).unwrap());
    // Ask a service that has nothing loaded for a version that the store no longer has.
    for _ in 0..10 {
        world.commit(&mut model).await;
    }
    let fresh = fresh_service(&world).await;
    let late = fresh_recogniser(&world, &model, fresh).await;
    let refused = late.infer(tickets.take().unwrap(), &image).await;
    assert_eq!(code(refused), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_answers_of_another_version() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let infer: Lie<InferRequest, InferResponse> = Box::new(|_, reply| {
        reply.version += 1;
        Ok(())
    });
    let lies = Lies { infer: Some(infer), ..Lies::default() };
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let recogniser = fresh_recogniser(&world, &model, liar.url).await;
    let mut tickets = recogniser.prepare(1, &mut world.rng).await.unwrap();
    let refused = recogniser.infer(tickets.take().unwrap(), &[0.5; 784]).await;
    let mismatch = RecognitionError::VersionMismatch { got: 2, expected: 1 };
    assert_eq!(recognition_error(refused), mismatch);
}

/// A message of 3 MB whose rows would take 25 GB: no room is made for them.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_answers_with_more_rows_than_bytes() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let prepare: Lie<u32, PrepareResponse> = Box::new(|_, reply| {
        if let Some(Part::Output(output)) = &mut reply.part {
            *output = PrepareOutput { rows: vec![0; 3 << 20], ..PrepareOutput::default() };
        }
        Ok(())
    });
    let lies = Lies { prepare: Some(prepare), ..Lies::default() };
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let recogniser = fresh_recogniser(&world, &model, liar.url).await;
    match recogniser.prepare(1, &mut world.rng).await.unwrap_err() {
        ClientError::Channel(ChannelError::Protocol { got, expected, .. }) => {
            assert_eq!(got, "3145728 rows in 0 and 0 bytes");
            assert_eq!(expected, "10240 and 10240 bytes each");
        }
        other => panic!("{other}"),
    }
}

pub async fn fresh_recogniser(world: &World, model: &Model, inference: String) -> Recogniser {
    let endpoints = Endpoints { inference, ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    Recogniser::new(&client, world.read_key(model)).await.unwrap()
}

/// Another replica on the same store.
pub async fn fresh_service(world: &World) -> String {
    replica(world, |_| ()).await
}

/// The same with another configuration.
pub async fn replica(world: &World, change: impl FnOnce(&mut sphinx_inference::Config)) -> String {
    let (listener, address) = sphinx_testbed::listen().await;
    let mut config = sphinx_inference::Config::defaults(&sphinx_inference::SERVICE);
    change(&mut config);
    config.store = world.store.path().to_str().unwrap().to_owned();
    config.keyvault.clone_from(&world.endpoints.keyvault);
    let never = sphinx_runtime::CancellationToken::new();
    tokio::spawn(async move { sphinx_inference::run(config, listener, never).await.unwrap() });
    address
}
