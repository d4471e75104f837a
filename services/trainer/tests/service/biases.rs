//! Encrypted biases for recognition in one shot.

use prost::Message;
use prost::bytes::Bytes;
use sphinx_models::ModelStore;
use sphinx_proto::v1::{DeleteModelRequest, OneShotBiases, PutBiasesRequest};
use sphinx_proto::{ModelId, TenantId};
use tonic::Code;

use crate::common::{Trainer, assert_refused, creation, of_tenant, start_with_model};
use crate::talk::{SEED, Talk, noise};

/// Samples of both stages, which have 2 and 3 biases.
fn samples(tag: u8) -> Vec<OneShotBiases> {
    let stage = |count: usize| OneShotBiases {
        seeds: noise(count * SEED, tag).into(),
        bodies: noise(count * 6, tag).into(),
    };
    vec![stage(2), stage(3)]
}

/// The upload of a version's biases.
pub async fn request(trainer: &mut Trainer, version: u64, tag: u8) -> PutBiasesRequest {
    let model = trainer.part(None).await.unwrap().model.unwrap();
    PutBiasesRequest {
        model_id: "m".to_owned(),
        incarnation: model.incarnation,
        version,
        stages: samples(tag),
    }
}

/// What is stored of a version.
async fn stored(trainer: &Trainer, version: u64) -> Option<Vec<OneShotBiases>> {
    let store = ModelStore::open(trainer.dir.path().to_str().unwrap()).unwrap();
    let model = store.get(&TenantId::default(), &ModelId::parse("m").unwrap()).await.unwrap();
    let bytes = store.biases(&model.meta, version).await.unwrap()?;
    Some(PutBiasesRequest::decode(bytes).unwrap().stages)
}

#[tokio::test]
async fn biases_are_stored_beside_their_version_and_replaced() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    assert!(!talk.opened.state.as_ref().unwrap().has_one_shot_biases);
    talk.commit(0, 0, 1).await.unwrap();
    let state = trainer.state().await;
    for tag in [1, 2] {
        let request = request(&mut trainer, 1, tag).await;
        trainer.client.put_biases(request).await.unwrap();
        assert_eq!(stored(&trainer, 1).await, Some(samples(tag)));
    }
    assert_eq!(stored(&trainer, 0).await, None);
    // The version is the same, but for saying so.
    let with = trainer.state().await;
    assert!(with.has_one_shot_biases && !state.has_one_shot_biases);
    assert_eq!(with.chain, state.chain);
    let mut talk = Talk::open(&trainer, 1).await;
    assert_eq!(talk.opened.state.as_ref(), Some(&with));
    // The next version has none.
    talk.commit(1, 1, 1).await.unwrap();
    assert!(!trainer.state().await.has_one_shot_biases);
}

#[tokio::test]
async fn rejects_biases_that_do_not_fit() {
    let mut trainer = start_with_model(|_| ()).await;
    let good = request(&mut trainer, 0, 1).await;
    let with = |stage: usize, change: fn(&mut OneShotBiases)| {
        let mut request = good.clone();
        change(&mut request.stages[stage]);
        request
    };
    let stages = |count: usize| {
        let stages = samples(1).into_iter().cycle().take(count).collect();
        PutBiasesRequest { stages, ..good.clone() }
    };
    let cut = |bytes: &Bytes| bytes.slice(1..);
    let (invalid, missing) = (Code::InvalidArgument, Code::NotFound);
    let cases = [
        (with(0, |stage| stage.seeds = stage.seeds.slice(1..)), invalid, "31 bytes of seeds"),
        (with(1, |stage| stage.bodies = stage.bodies.slice(1..)), invalid, "and 17 of bodies"),
        (with(0, |stage| stage.bodies = vec![0; 18].into()), invalid, "each of 2 biases"),
        (
            with(1, |stage| {
                (stage.seeds, stage.bodies) = (vec![0; 32].into(), vec![0; 12].into());
            }),
            invalid,
            "each of 3 biases",
        ),
        (with(0, |stage| *stage = OneShotBiases::default()), invalid, "0 bytes of seeds"),
        (stages(0), invalid, "biases of 0 stages, the model has 2"),
        (stages(1), invalid, "biases of 1 stages, the model has 2"),
        (stages(3), invalid, "biases of 3 stages, the model has 2"),
        (PutBiasesRequest { model_id: "M".to_owned(), ..good.clone() }, invalid, "model_id is"),
        (PutBiasesRequest { version: 1, ..good.clone() }, missing, "model m has no version 1"),
        (PutBiasesRequest { version: u64::MAX, ..good.clone() }, missing, "no version 1844674"),
        (PutBiasesRequest { model_id: "n".to_owned(), ..good.clone() }, missing, "model n"),
        (
            PutBiasesRequest { incarnation: vec![7; 16].into(), ..good.clone() },
            Code::FailedPrecondition,
            "model m is another than the one that is meant",
        ),
        (
            PutBiasesRequest { incarnation: cut(&good.incarnation), ..good.clone() },
            Code::FailedPrecondition,
            "model m is another than the one that is meant",
        ),
    ];
    for (request, code, words) in cases {
        let status = trainer.client.put_biases(request).await.unwrap_err();
        assert_refused(&status, code, words);
    }
    trainer.vault.register("acme", "laptop").await;
    let foreign = of_tenant("acme", good.clone());
    let status = trainer.client.put_biases(foreign).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "model m does not exist");
    assert_eq!(stored(&trainer, 0).await, None);
    trainer.client.put_biases(good).await.unwrap();
}

/// What was meant for a model that was deleted does not end up at its successor.
#[tokio::test]
async fn rejects_biases_of_an_earlier_life() {
    let mut trainer = start_with_model(|_| ()).await;
    let old = request(&mut trainer, 0, 1).await;
    let deletion = DeleteModelRequest { model_id: "m".to_owned() };
    trainer.client.delete_model(deletion).await.unwrap();
    trainer.create_as(creation("m")).await.unwrap();
    let status = trainer.client.put_biases(old).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "it was deleted and made again");
    assert_eq!(stored(&trainer, 0).await, None);
}
