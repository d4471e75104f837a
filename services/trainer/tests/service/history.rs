//! Versions: kept ones, coming ones, compared ones, and a model as it is stored.

use std::time::Duration;

use futures::TryStreamExt;
use sphinx_proto::v1::export_model_response::Part;
use sphinx_proto::v1::{
    CompareVersionsRequest, DeleteModelRequest, ExportModelRequest, ListVersionsRequest,
    OneShotBiases, PutBiasesRequest, VersionSummary, WatchModelRequest,
};
use sphinx_runtime::unix_seconds;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::common::{Trainer, assert_refused, of_tenant, start_with_model};
use crate::mirror::floats;
use crate::talk::Talk;

async fn versions(trainer: &mut Trainer) -> Vec<VersionSummary> {
    let request = ListVersionsRequest { model_id: "m".to_owned() };
    trainer.client.list_versions(request).await.unwrap().into_inner().versions
}

fn watch(from: Option<u64>, until: Option<u64>) -> WatchModelRequest {
    WatchModelRequest { model_id: "m".to_owned(), from_version: from, until_version: until }
}

/// The next message of a stream, which comes soon.
async fn soon<T>(stream: &mut Streaming<T>) -> Result<Option<T>, tonic::Status> {
    timeout(Duration::from_secs(20), stream.message()).await.unwrap()
}

#[tokio::test]
async fn the_versions_of_a_model_are_listed_with_what_made_them() {
    let mut trainer = start_with_model(|config| {
        config.limits.kept_versions = 3.try_into().unwrap();
        config.limits.kept_beginnings = 0;
    })
    .await;
    let mut talk = Talk::open(&trainer, 1).await;
    for step in 0..5 {
        talk.commit(step, step, 1).await.unwrap();
    }
    talk.end().await.unwrap();
    let state = trainer.state().await;
    let versions = versions(&mut trainer).await;
    let numbers: Vec<_> = versions.iter().map(|version| (version.version, version.step)).collect();
    assert_eq!(numbers, [(3, Some(2)), (4, Some(3)), (5, Some(4))]);
    let last = &versions[2];
    assert_eq!((&last.chain, &last.weights_sha256), (&state.chain, &state.weights_sha256));
    assert_eq!(last.session_id, state.session_id);
    // 18 + 96 weights and more.
    assert!(last.bytes > 4 * 114 && last.bytes < 10_000, "{}", last.bytes);
    assert!((unix_seconds() - last.written_unix_seconds).abs() < 100);
    assert!(last.written.ends_with('Z') && last.written.len() == 20, "{}", last.written);
    assert_eq!(versions[0].seconds_since_previous, None);
    assert!(last.seconds_since_previous.is_some());
}

#[tokio::test]
async fn a_watch_sees_what_is_there_and_what_comes_and_ends_with_the_model() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut all = trainer.client.watch_model(watch(Some(0), None)).await.unwrap().into_inner();
    let mut two = trainer.client.watch_model(watch(None, Some(2))).await.unwrap().into_inner();
    let number = |message: Option<sphinx_proto::v1::WatchModelResponse>| {
        message.unwrap().version.unwrap().version
    };
    assert_eq!(number(soon(&mut all).await.unwrap()), 0);
    let mut talk = Talk::open(&trainer, 1).await;
    for step in 0..3 {
        talk.commit(step, step, 1).await.unwrap();
        assert_eq!(number(soon(&mut all).await.unwrap()), step + 1);
    }
    let seen: Vec<_> =
        (&mut two).map_ok(|message| number(Some(message))).try_collect().await.unwrap();
    assert_eq!(seen, [0, 1, 2]);
    talk.end().await.unwrap();
    let request = DeleteModelRequest { model_id: "m".to_owned() };
    trainer.client.delete_model(request).await.unwrap();
    let gone = soon(&mut all).await.unwrap_err();
    assert_refused(&gone, Code::NotFound, "model m does not exist");
    // A service that drains ends its watches.
    trainer.create("m").await.unwrap();
    let mut drained = trainer.client.watch_model(watch(Some(1), None)).await.unwrap().into_inner();
    trainer.shutdown.cancel();
    let drained = soon(&mut drained).await.unwrap_err();
    assert_refused(&drained, Code::Unavailable, "shutting down");
}

#[tokio::test]
async fn two_versions_are_compared_weight_by_weight() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.weights(0).await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    talk.end().await.unwrap();
    let after = trainer.weights(0).await;
    let request = CompareVersionsRequest {
        model_id: "m".to_owned(),
        version: Some(0),
        ..CompareVersionsRequest::default()
    };
    let compared = trainer.client.compare_versions(request.clone()).await.unwrap().into_inner();
    assert_eq!((compared.version, compared.other_version, compared.equal), (0, 1, false));
    let [first, _] = &compared.stages[..] else { panic!("{compared:?}") };
    let apart = |a: &f32, b: &f32| f64::from(*a) - f64::from(*b);
    let squares = before.iter().zip(&after).map(|(a, b)| apart(a, b).powi(2));
    let expected = squares.sum::<f64>().sqrt();
    assert!(expected > 0.0 && (first.difference_norm - expected).abs() < 1e-12 * expected);
    assert_eq!(first.weights, 18);
    let same = CompareVersionsRequest { other_version: Some(0), ..request.clone() };
    let same = trainer.client.compare_versions(same).await.unwrap().into_inner();
    assert!(same.equal && same.stages.iter().all(|stage| stage.largest_difference == 0.0));
    // Another model of another shape.
    let mut other = crate::common::creation("other");
    let kinds = [sphinx_proto::v1::layer::Kind::Dense(sphinx_proto::v1::Dense { outputs: 3 })];
    other.network = Some(crate::common::network_of(kinds));
    trainer.create_as(other).await.unwrap();
    let other = CompareVersionsRequest { other_model_id: "other".to_owned(), ..request };
    let refused = trainer.client.compare_versions(other).await.unwrap_err();
    assert_refused(&refused, Code::FailedPrecondition, "other shapes");
}

#[tokio::test]
async fn a_model_is_exported_as_it_is_stored() {
    let mut trainer = start_with_model(|_| ()).await;
    let incarnation = trainer.part(None).await.unwrap().model.unwrap().incarnation;
    let biases = |count: usize| OneShotBiases {
        seeds: vec![1; 16 * count].into(),
        bodies: vec![2; 6 * count].into(),
    };
    let put = PutBiasesRequest {
        model_id: "m".to_owned(),
        incarnation,
        version: 0,
        stages: vec![biases(2), biases(3)],
    };
    trainer.client.put_biases(put.clone()).await.unwrap();
    let request = ExportModelRequest { model_id: "m".to_owned(), version: None };
    let parts = trainer.client.export_model(request).await.unwrap().into_inner();
    let parts: Vec<_> = parts.try_collect().await.unwrap();
    let mut parts = parts.into_iter().map(|message| message.part.unwrap());
    let Some(Part::Header(header)) = parts.next() else { panic!("no header") };
    assert_eq!(header.model.unwrap().model_id, "m");
    assert!(header.state.unwrap().has_one_shot_biases);
    for stage in 0..2 {
        let Some(Part::Weights(weights)) = parts.next() else { panic!("no weights") };
        assert_eq!((weights.stage, weights.offset), (stage, 0));
        assert_eq!(floats(&weights.values), trainer.weights(stage).await);
    }
    let Some(Part::Biases(biases)) = parts.next() else { panic!("no biases") };
    assert_eq!(biases.stages, put.stages);
    assert_eq!(parts.next(), None);
}

#[tokio::test]
async fn rejects_questions_about_models_and_versions_that_are_not_there() {
    let mut trainer = start_with_model(|_| ()).await;
    let client = &mut trainer.client;
    let other = || of_tenant("acme", watch(None, None));
    assert_eq!(client.watch_model(other()).await.unwrap_err().code(), Code::NotFound);
    let request = of_tenant("acme", ListVersionsRequest { model_id: "m".to_owned() });
    assert_eq!(client.list_versions(request).await.unwrap_err().code(), Code::NotFound);
    let request = ExportModelRequest { model_id: "m".to_owned(), version: Some(7) };
    let refused = client.export_model(request).await.unwrap_err();
    assert_refused(&refused, Code::NotFound, "has no version 7");
    let request = CompareVersionsRequest {
        model_id: "m".to_owned(),
        other_version: Some(7),
        ..CompareVersionsRequest::default()
    };
    let refused = client.compare_versions(request).await.unwrap_err();
    assert_refused(&refused, Code::NotFound, "has no version 7");
}
