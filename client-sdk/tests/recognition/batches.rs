//! Whole batches in one shot, against the same network in the clear, honest services and liars.

use std::sync::Arc;

use sphinx_client::one_shot::Batches;
use sphinx_client::{
    ClientError, Endpoints, OneShotInferenceError, RecognitionError, SphinxClient, StateError,
};
use sphinx_network::{LayerSpec, NetworkSpec, Shape};
use sphinx_proto::v1::infer_batch_response::Part;
use sphinx_proto::v1::{InferBatchResponse, InferLinearRequest, InferLinearResponse, OutputRows};
use sphinx_testbed::liar::{Liar, Lie, Lies};

use crate::liars::{memory, suspects};
use crate::world::{Model, World};

/// 300 inputs, 7 classes.
fn linear(name: &str) -> NetworkSpec {
    let layers = vec![LayerSpec::Dense { outputs: 7 }];
    NetworkSpec { name: name.into(), input: Shape::new(3, 10, 10), bias_bound: 4.0, layers }
}

fn images(count: usize) -> Vec<Vec<f32>> {
    let pixel = |image: usize, place: usize| ((image * 31 + place * 7) % 23) as f32 / 22.0;
    (0..count).map(|image| (0..300).map(|place| pixel(image, place)).collect()).collect()
}

async fn batches(world: &World, model: &Model) -> Batches {
    Batches::new(&world.client(), world.read_key(model)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_images_come_back_in_order_with_the_logits_of_the_clear() {
    let mut world = World::start().await;
    let model = world.model_of(linear("linear")).await;
    let batches = batches(&world, &model).await;
    // Two blocks, the second with blank slots.
    let images = images(2500);
    let seen = batches.infer(&images).await.unwrap();
    assert_eq!(seen.len(), images.len());
    let (mut squares, mut worst) = (0.0, 0f32);
    for (image, seen) in images.iter().zip(&seen) {
        let clear = model.clear.classify(image).unwrap();
        for (a, b) in clear.iter().zip(&seen.logits) {
            squares += f64::from(a * a);
            worst = worst.max((a - b).abs());
        }
    }
    let usual = (squares / (7.0 * 2500.0)).sqrt() as f32;
    // 2 % of words of 24 bits, four deviations; the reference has weights of 8 bits.
    assert!(worst < 0.1 * usual, "off by {worst}, logits are {usual}");
    // 300 rows of a seed and two blocks of 3 bytes a slot; the model's description comes down.
    let traffic = batches.traffic();
    let up = 300 * (16 + 2 * 6144);
    assert!((up..up + up / 50).contains(&(traffic.up as usize)), "{traffic:?} for {up} up");
    assert!(traffic.down < 150_000, "{traffic:?}");

    // A few images go one by one, with words of 32 bits.
    let before = batches.traffic();
    let few = batches.infer(&images[..5]).await.unwrap();
    let traffic = batches.traffic();
    let (up, down) = (5 * (16 + 300 * 4), 5 * 7 * 4 * 2049);
    assert!((up..up + 1000).contains(&((traffic.up - before.up) as usize)), "{traffic:?}");
    assert!((down..down + 1000).contains(&((traffic.down - before.down) as usize)), "{traffic:?}");
    for (image, few) in images.iter().zip(&few) {
        let clear = model.clear.classify(image).unwrap();
        let pairs = clear.iter().zip(&few.logits);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.03 * usual, "off by {worst}, logits are {usual}");
    }

    assert!(batches.infer::<Vec<f32>>(&[]).await.unwrap().is_empty());
    let error = batches.infer(&[vec![0.0; 299]]).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Recognition(RecognitionError::ImageSize { got: 299, expected: 300 })
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_with_activations_are_refused_before_anything_is_sent() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let refused = Batches::new(&world.client(), world.read_key(&model)).await;
    let error = refused.unwrap_err();
    assert!(
        matches!(error, ClientError::OneShot(OneShotInferenceError::NotLinear { got: 2 })),
        "{error}"
    );
}

/// A way of answering wrongly.
fn lie(change: impl Fn(&mut OutputRows) + Send + Sync + 'static) -> Lies {
    let infer_batch: Lie<(), InferBatchResponse> = Box::new(move |(), reply| {
        if let Some(Part::Output(rows)) = &mut reply.part {
            change(rows);
        }
        Ok(())
    });
    Lies { infer_batch: Some(infer_batch), ..Lies::default() }
}

/// A way of answering wrongly to one image.
fn single(change: impl Fn(&mut InferLinearResponse) + Send + Sync + 'static) -> Lies {
    let infer_linear: Lie<InferLinearRequest, InferLinearResponse> = Box::new(move |_, reply| {
        change(reply);
        Ok(())
    });
    Lies { infer_linear: Some(infer_linear), ..Lies::default() }
}

/// Changes the masks of the last logit. A changed word counts where its coefficient of the key is
/// one; 32 words change by another power of two each, so that what counts adds up to something.
fn change_mask(masks: &mut bytes::Bytes) {
    let mut changed = masks.to_vec();
    let last = changed.len() - 32 * 4;
    for (bit, word) in changed[last..].chunks_exact_mut(4).enumerate() {
        word[bit / 8] ^= 1 << (bit % 8);
    }
    *masks = changed.into();
}

/// Changes one byte.
fn flip(bytes: &mut bytes::Bytes, at: usize, mask: u8) {
    let mut changed = bytes.to_vec();
    changed[at] ^= mask;
    *bytes = changed.into();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_products_are_found_out_whatever_is_wrong_of_them() {
    let mut world = World::start().await;
    let last_byte = |bytes: &mut bytes::Bytes| {
        let last = bytes.len() - 1;
        flip(bytes, last, 0x80);
    };
    let lies = [
        (2, "the lowest bit of a logit", single(|reply| flip(&mut reply.bodies, 0, 1))),
        (2, "the mask of the last logit", single(|reply| change_mask(&mut reply.masks))),
        (60, "the lowest bit of one image's logit", lie(|rows| flip(&mut rows.bodies, 0, 1))),
        (60, "the mask", lie(|rows| flip(&mut rows.masks, 3, 0x10))),
        (60, "an image beyond the last", lie(move |rows| last_byte(&mut rows.bodies))),
        (60, "two logits swapped", lie(|rows| rows.rows.swap(0, 1))),
    ];
    for (index, (count, what, lies)) in lies.into_iter().enumerate() {
        let model = world.model_of(linear(&format!("linear-{index}"))).await;
        let liar = Liar::start(&world.endpoints.inference, lies).await;
        let endpoints = Endpoints { inference: liar.url.clone(), ..world.endpoints.clone() };
        let (client, home) = (SphinxClient::new(&endpoints).unwrap(), tempfile::tempdir().unwrap());
        let read_key = world.read_key(&model);
        let asked = Batches::remembering(&client, Arc::clone(&read_key), memory(&home)).await;
        let asked = asked.unwrap();
        let error = asked.infer(&images(count)).await.unwrap_err();
        let wrong = matches!(
            &error,
            ClientError::State(StateError::WrongProduct { phase: "a batch in one shot", .. })
        );
        assert!(wrong, "{what}: {error}");
        let mark = suspects(&home).find(&model.id).unwrap().unwrap();
        assert_eq!((mark.version, &*mark.phase), (1, "a batch in one shot"), "{what}");
        let calls = liar.calls();
        assert!(asked.infer(&images(1)).await.is_err());
        assert!(Batches::remembering(&client, read_key, memory(&home)).await.is_err());
        assert_eq!(liar.calls(), calls, "nothing is sent any more");
    }
}
