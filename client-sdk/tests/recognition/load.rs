//! A service that has no place left, and clients that come back when they were told to.

use std::time::{Duration, Instant};

use sphinx_proto::code::RETRY_AFTER_MS;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{
    DescribeModelRequest, InferRequest, ParameterSet, PrepareHeader, PrepareRequest,
    prepare_request::Part,
};
use sphinx_testbed::liar::{Liar, Lie, Lies};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::refusals::{fresh_recogniser, replica};
use crate::world::World;

/// Longer than the first pause that a client makes by itself.
const HINT: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_turned_away_waits_as_long_as_it_is_told() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let question: Lie<usize, InferRequest> = Box::new(|before, _| {
        if *before > 0 {
            return Ok(());
        }
        let mut busy = Status::resource_exhausted("all places are taken");
        busy.metadata_mut().insert(RETRY_AFTER_MS, (HINT.as_millis() as u64).into());
        Err(busy)
    });
    let lies = Lies { question: Some(question), ..Lies::default() };
    let busy = Liar::start(&world.endpoints.inference, lies).await;
    let recogniser = fresh_recogniser(&world, &model, busy.url).await;
    let mut tickets = recogniser.prepare(1, &mut world.rng).await.unwrap();
    let image = [0.5; 784];
    let begun = Instant::now();
    let answer = recogniser.infer(tickets.take().unwrap(), &image).await.unwrap();
    assert!(begun.elapsed() >= HINT, "{:?}", begun.elapsed());
    assert_eq!(answer.logits, model.clear.classify(&image).unwrap());
}

/// One place, held by a preparation that does not go on: queries wait until it ends, and are
/// answered then.
#[tokio::test(flavor = "multi_thread")]
async fn queries_outlast_a_full_service() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let full = replica(&world, |config| config.server.max_concurrent_requests = 1).await;
    let recogniser = fresh_recogniser(&world, &model, full.clone()).await;
    let tickets = recogniser.prepare(8, &mut world.rng).await.unwrap().take_many(8).unwrap();

    let mut raw = InferenceClient::connect(full).await.unwrap();
    let request = DescribeModelRequest { model_id: model.id.to_string(), version: None };
    let described = raw.describe_model(request.clone()).await.unwrap().into_inner();
    let header = PrepareHeader {
        model_id: described.model_id,
        key_id: described.key_id,
        version: described.version,
        stage: 0,
        parameter_set: ParameterSet::Glwe2048V1.into(),
        incarnation: described.incarnation,
    };
    let (parts, stream) = mpsc::channel(1);
    parts.send(PrepareRequest { part: Some(Part::Header(header)) }).await.unwrap();
    let held = raw.prepare(ReceiverStream::new(stream)).await.unwrap();
    let refused = raw.describe_model(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.metadata().contains_key(RETRY_AFTER_MS));

    let image = vec![0.25; 784];
    let expected = model.clear.classify(&image).unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for ticket in tickets {
        let (recogniser, image) = (recogniser.clone(), image.clone());
        asking.spawn(async move { recogniser.infer(ticket, &image).await });
    }
    let early = tokio::time::timeout(Duration::from_millis(100), asking.join_next()).await;
    assert!(early.is_err(), "a query was answered by a full service, or given up");
    drop((parts, held));
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap().logits, expected);
    }
}
