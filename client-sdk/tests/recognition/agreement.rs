//! Encrypted recognition gives the very logits of the quantised network.

use rayon::prelude::*;

use crate::world::{Model, World};

pub fn test_images(count: usize) -> Vec<Vec<f32>> {
    let test = sphinx_mnist::load().unwrap().test;
    (0..count).map(|index| test.pixels(index).unwrap()).collect()
}

async fn check(world: &mut World, model: &Model, images: &[Vec<f32>]) {
    let recogniser = world.recogniser(model).await;
    let mut tickets = recogniser.prepare(images.len(), &mut world.rng).await.unwrap();
    let (single, batch) = images.split_at(10);
    let mut logits = Vec::new();
    for image in single {
        logits.push(recogniser.infer(tickets.take().unwrap(), image).await.unwrap().logits);
    }
    let batch_tickets = tickets.take_many(batch.len()).unwrap();
    let predictions = recogniser.infer_batch(batch_tickets, batch).await.unwrap();
    logits.extend(predictions.into_iter().map(|prediction| prediction.logits));
    assert!(tickets.is_empty());
    for (index, (image, logits)) in images.iter().zip(&logits).enumerate() {
        let expected = model.clear.classify(image).unwrap();
        assert_eq!(logits, &expected, "{} image {index}", model.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logits_equal_those_of_the_quantised_network() {
    let mut world = World::start().await;
    for name in ["sphinx-mnist", "lola"] {
        let model = world.model(name).await;
        check(&mut world, &model, &test_images(300)).await;
    }
}

/// The paper's network on the complete test set, tickets made block by block.
#[tokio::test(flavor = "multi_thread")]
async fn all_ten_thousand_test_images_get_the_logits_of_the_quantised_network() {
    let mut world = World::start().await;
    let model = world.model("sphinx-mnist").await;
    let test = sphinx_mnist::load().unwrap().test;
    let recogniser = world.recogniser(&model).await;
    let done = recogniser.classify_dataset(&test, &mut world.rng, |_| ()).await.unwrap();
    assert_eq!(done.predictions.len(), 10_000);
    let images = test_images(test.len());
    let equal = images
        .par_iter()
        .zip(&done.predictions)
        .filter(|(image, prediction)| prediction.logits == model.clear.classify(image).unwrap());
    assert_eq!(equal.count(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_has_its_own_answers_when_many_ask_at_once() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let images = test_images(60);
    let mut clients = Vec::new();
    for client in 0..4 {
        let recogniser = world.recogniser(&model).await;
        let mut tickets = recogniser.prepare(15, &mut world.rng).await.unwrap();
        let images = images[client * 15..][..15].to_vec();
        let expected: Vec<_> =
            images.iter().map(|image| model.clear.classify(image).unwrap()).collect();
        clients.push(tokio::spawn(async move {
            for (image, expected) in images.iter().zip(expected) {
                let ticket = tickets.take().unwrap();
                assert_eq!(recogniser.infer(ticket, image).await.unwrap().logits, expected);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_set_is_recognised_in_order_and_its_bytes_are_counted() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let mut images = sphinx_mnist::load().unwrap().test;
    // One more than a block.
    let count = 2049;
    images.truncate(count);
    let recogniser = world.recogniser(&model).await;
    let before = recogniser.traffic();
    let mut reports = Vec::new();
    let report = |progress| reports.push(progress);
    let done = recogniser.classify_dataset(&images, &mut world.rng, report).await.unwrap();
    assert_eq!(done.predictions.len(), count);
    assert_eq!(reports.len(), 4);
    assert_eq!(reports.last().map(|last| (last.recognised, last.total)), Some((count, count)));
    for (prediction, image) in done.predictions.iter().zip(&test_images(count)).step_by(97) {
        assert_eq!(prediction.logits, model.clear.classify(image).unwrap());
    }
    let after = recogniser.traffic();
    assert_eq!(done.preparing.up + done.recognising.up, after.up - before.up);
    assert_eq!(done.preparing.down + done.recognising.down, after.down - before.down);
    // Two blocks of 884 rows of 16 + 12 288 bytes, and 110 rows of 20 480 bytes.
    let expected = 2 * 884 * (16 + 12_288);
    assert!((expected..expected + 10_000).contains(&done.preparing.up), "{:?}", done.preparing);
    let expected = 2 * 110 * 20_480;
    assert!((expected..expected + 10_000).contains(&done.preparing.down), "{:?}", done.preparing);
}
