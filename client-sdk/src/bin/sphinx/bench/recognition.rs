//! Recognition through real services: tickets, single images, many images.

use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_client::data::Mnist;
use sphinx_client::recognition::Recogniser;
use sphinx_linalg::SLOTS;

use super::training::Model;
use crate::error::CliError;

/// Images of the measurement of many at once.
const BATCH: usize = 1000;

/// Cost of a ticket, averaged over 2048 made together.
#[derive(Debug, Serialize)]
pub struct Prepare {
    ms_per_ticket: f64,
    bytes_per_ticket: u64,
}

/// Online recognition.
#[derive(Debug, Serialize)]
pub struct Infer {
    /// One image after the other.
    p50_ms: f64,
    p99_ms: f64,
    bytes_per_image: u64,
    /// Many images through the same rounds.
    batch_images_per_second: f64,
}

pub async fn measure(model: Model, images: usize) -> Result<(Prepare, Infer), CliError> {
    let Model { client, model_id, key_id, key } = model;
    let recogniser = Recogniser::new(&client, &model_id, Arc::clone(&key), &key_id).await?;
    let (_, test) = Mnist::bundled()?.into_train_test();
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let bytes = || {
        let traffic = recogniser.traffic();
        traffic.up + traffic.down
    };
    // The first warms up the service's cache of models and both sides' memory.
    recogniser.prepare(SLOTS, &mut rng).await?;
    let (started, before) = (Instant::now(), bytes());
    let mut tickets = recogniser.prepare(SLOTS, &mut rng).await?;
    let prepare = Prepare {
        ms_per_ticket: started.elapsed().as_secs_f64() * 1e3 / SLOTS as f64,
        bytes_per_ticket: (bytes() - before) / SLOTS as u64,
    };

    let pixels = |index: usize| -> Vec<f32> {
        let image = test.image(index % test.len()).unwrap_or_default();
        image.iter().map(|&level| f32::from(level) / 255.0).collect()
    };
    let before = bytes();
    let mut times = Vec::with_capacity(images);
    for index in 0..images {
        let image = pixels(index);
        let ticket = tickets.take()?;
        let started = Instant::now();
        recogniser.infer(ticket, &image).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let bytes_per_image = (bytes() - before) / images as u64;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((share * images as f64) as usize).copied().unwrap_or(f64::NAN);

    let batch: Vec<Vec<f32>> = (0..BATCH).map(pixels).collect();
    let tickets = recogniser.prepare(BATCH, &mut rng).await?.take_many(BATCH)?;
    let started = Instant::now();
    recogniser.infer_batch(tickets, &batch).await?;
    let batch_images_per_second = BATCH as f64 / started.elapsed().as_secs_f64();
    let infer =
        Infer { p50_ms: at(0.5), p99_ms: at(0.99), bytes_per_image, batch_images_per_second };
    Ok((prepare, infer))
}
