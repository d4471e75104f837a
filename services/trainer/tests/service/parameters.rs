//! Reading parameters in parts.

use sphinx_proto::v1::{BiasesPart, GetModelRequest, WeightsPart, get_model_request::Part};
use tonic::Code;

use crate::common::{assert_refused, start, start_with_model};
use crate::talk::Talk;

/// Bytes of a stored bias: 2 x 2048 words of 6 bytes.
const BIAS: usize = 4096 * 6;

fn weights(stage: u32, offset: u64, count: u32) -> Option<Part> {
    Some(Part::Weights(WeightsPart { stage, offset, count }))
}

fn biases(stage: u32, offset: u32, count: u32) -> Option<Part> {
    Some(Part::Biases(BiasesPart { stage, offset, count }))
}

#[tokio::test]
async fn pages_put_together_are_the_whole() {
    let mut trainer = start_with_model(|_| ()).await;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();

    let whole = trainer.part(weights(1, 0, u32::MAX)).await.unwrap();
    assert_eq!((whole.weights.len(), whole.total, whole.biases.len()), (96 * 4, 96, 0));
    assert_eq!(whole.model.unwrap().version, 1);
    let mut pages = Vec::new();
    for offset in (0..96).step_by(7) {
        pages.extend(trainer.part(weights(1, offset, 7)).await.unwrap().weights);
    }
    assert_eq!(pages, whole.weights);

    let whole = trainer.part(biases(1, 0, u32::MAX)).await.unwrap();
    assert_eq!((whole.biases.len(), whole.total, whole.weights.len()), (3 * BIAS, 3, 0));
    let mut pages = Vec::new();
    for offset in 0..3 {
        pages.extend(trainer.part(biases(1, offset, 1)).await.unwrap().biases);
    }
    assert_eq!(pages, whole.biases);
    // The end is a place, beyond it is none.
    assert!(trainer.part(weights(0, 18, 1)).await.unwrap().weights.is_empty());
    assert!(trainer.part(biases(0, 2, 1)).await.unwrap().biases.is_empty());
}

#[tokio::test]
async fn fresh_weights_come_from_the_seed_and_fresh_biases_are_zero() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut other = start(|_| ()).await;
    let mut request = crate::common::creation("m");
    other.create_as(request.clone()).await.unwrap();
    let part = || weights(1, 0, 96);
    let ours = trainer.part(part()).await.unwrap().weights;
    assert_eq!(other.part(part()).await.unwrap().weights, ours);
    let values = ours.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
    assert!(values.clone().all(|value| value.is_finite()) && values.clone().any(|v| v != 0.0));
    assert!(trainer.part(biases(0, 0, 2)).await.unwrap().biases.iter().all(|byte| *byte == 0));

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
        (biases(2, 0, 1), "stage 2 of a network that has 2"),
        (biases(1, 4, 1), "part from 4 of 3"),
        (biases(1, u32::MAX, u32::MAX), "part from 4294967295 of 3"),
    ] {
        let status = trainer.part(part).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, words);
    }
    assert_eq!(trainer.part(weights(0, 0, 18)).await.unwrap().weights.len(), 18 * 4);
}
