//! Reading parameters in parts.

use sphinx_proto::v1::train_request::Part as Train;
use sphinx_proto::v1::{GetModelRequest, OptimizerPart, WeightsPart, get_model_request::Part};
use sphinx_wire::parameters::optimizer_vector;
use tonic::Code;

use crate::common::{assert_refused, start, start_with_model};
use crate::mirror::{floats, sealed_state};
use crate::talk::{Talk, opening};

fn weights(stage: u32, offset: u64, count: u32) -> Option<Part> {
    Some(Part::Weights(WeightsPart { stage, offset, count }))
}

fn optimizer(stage: u32, offset: u64, count: u32) -> Option<Part> {
    Some(Part::Optimizer(OptimizerPart { stage, offset, count }))
}

#[tokio::test]
async fn pages_put_together_are_the_whole() {
    let mut trainer = start_with_model(|_| ()).await;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();

    let whole = trainer.part(weights(1, 0, u32::MAX)).await.unwrap();
    assert_eq!((whole.weights.len(), whole.total, whole.optimizer.len()), (96 * 4, 96, 0));
    assert_eq!(whole.model.unwrap().version, 1);
    let mut pages = Vec::new();
    for offset in (0..96).step_by(7) {
        pages.extend(trainer.part(weights(1, offset, 7)).await.unwrap().weights);
    }
    assert_eq!(pages, whole.weights);

    // Both moments of Adam.
    let whole = trainer.part(optimizer(1, 0, u32::MAX)).await.unwrap();
    assert_eq!((whole.optimizer.len(), whole.total, whole.weights.len()), (192 * 4, 192, 0));
    let mut pages = Vec::new();
    for offset in (0..192).step_by(50) {
        pages.extend(trainer.part(optimizer(1, offset, 50)).await.unwrap().optimizer);
    }
    assert_eq!(pages, whole.optimizer);
    // The end is a place, beyond it is none.
    assert!(trainer.part(weights(0, 18, 1)).await.unwrap().weights.is_empty());
    assert!(trainer.part(optimizer(0, 36, 1)).await.unwrap().optimizer.is_empty());
}

#[tokio::test]
async fn the_optimiser_is_what_the_client_mirrors() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut open = opening(1);
    open.optimizer.as_mut().unwrap().averaging = Some(0.5);
    let mut talk = Talk::begin(trainer.client.clone(), Train::Open(open)).await.unwrap();
    // A model that nobody trained has none.
    let fresh = trainer.part(optimizer(0, 0, 100)).await.unwrap();
    assert_eq!((fresh.optimizer.len(), fresh.total), (0, 0));
    for step in 0..2 {
        talk.commit(step, step, 1).await.unwrap();
    }
    let rule = talk.mirror.weights.rule.as_ref().unwrap();
    for (stage, count) in [(0, 18), (1, 96)] {
        let part = trainer.part(optimizer(stage, 0, 1000)).await.unwrap();
        assert_eq!(floats(&part.optimizer), optimizer_vector(rule, stage as usize));
        assert_eq!(part.total, 3 * count);
        let state = part.state.unwrap();
        assert_eq!((state.optimizer_steps, state.averaged_steps), (2, 2));
    }
}

/// Whoever asks for the description alone gets it without the state of a version.
#[tokio::test]
async fn the_state_comes_with_a_part_or_a_version() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    let first = talk.opened.state.clone();
    talk.commit(0, 0, 1).await.unwrap();
    assert_eq!(trainer.part(None).await.unwrap().state, None);
    let newest = trainer.part(weights(0, 0, 1)).await.unwrap().state;
    assert_eq!(trainer.part(optimizer(1, 0, 1)).await.unwrap().state, newest);
    for (version, state) in [(0, first), (1, newest)] {
        let request =
            GetModelRequest { model_id: "m".to_owned(), part: None, version: Some(version) };
        let got = trainer.client.get_model(request).await.unwrap().into_inner();
        assert_eq!((got.state, got.total), (state, 0));
        assert_eq!(got.model.unwrap().version, 1);
    }
    let newest = trainer.state().await;
    assert_eq!(newest.chain, talk.mirror.chain[..]);
    assert_eq!(newest.sealed, sealed_state(&opening(1), 1));
}

#[tokio::test]
async fn fresh_weights_come_from_the_seed() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut other = start(|_| ()).await;
    let mut request = crate::common::creation("m");
    other.create_as(request.clone()).await.unwrap();
    let part = || weights(1, 0, 96);
    let ours = trainer.part(part()).await.unwrap().weights;
    assert_eq!(other.part(part()).await.unwrap().weights, ours);
    let values = ours.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
    assert!(values.clone().all(|value| value.is_finite()) && values.clone().any(|v| v != 0.0));

    let mut third = start(|_| ()).await;
    request.seed += 1;
    third.create_as(request).await.unwrap();
    assert_ne!(third.part(part()).await.unwrap().weights, ours);
}

#[tokio::test]
async fn old_versions_can_be_read_while_they_are_kept() {
    let mut trainer = start_with_model(|_| ()).await;
    let fresh = trainer.part(weights(1, 0, 96)).await.unwrap().weights;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
    let newest = trainer.part(weights(1, 0, 96)).await.unwrap();
    assert_ne!(newest.weights, fresh);
    let mut at = async |version| {
        let part = weights(1, 0, 96);
        let request = GetModelRequest { model_id: "m".to_owned(), part, version: Some(version) };
        trainer.client.get_model(request).await
    };
    assert_eq!(at(0).await.unwrap().into_inner().weights, fresh);
    assert_eq!(at(1).await.unwrap().into_inner().weights, newest.weights);
    let status = at(2).await.unwrap_err();
    let words = "model m has no version 2: it is at 1, the oldest version kept is 0";
    assert_refused(&status, Code::NotFound, words);
}

#[tokio::test]
async fn rejects_parts_out_of_range() {
    let mut trainer = start_with_model(|_| ()).await;
    for (part, words) in [
        (weights(2, 0, 1), "stage 2 of a network that has 2"),
        (weights(u32::MAX, 0, 1), "stage 4294967295"),
        (weights(0, 19, 1), "part from 19 of 18 scalars"),
        (weights(0, u64::MAX, u32::MAX), "part from 18446744073709551615 of 18"),
        (optimizer(2, 0, 1), "stage 2 of a network that has 2"),
        (optimizer(u32::MAX, 0, 1), "stage 4294967295"),
        (optimizer(1, 1, 1), "part from 1 of 0 scalars"),
        (optimizer(1, u64::MAX, u32::MAX), "part from 18446744073709551615 of 0"),
    ] {
        let status = trainer.part(part).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, words);
    }
    assert_eq!(trainer.part(weights(0, 0, 18)).await.unwrap().weights.len(), 18 * 4);
}
