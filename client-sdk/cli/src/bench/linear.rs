//! A linear network in one shot through real services: image by image, and in one batch.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use sphinx_bootstrap::SimulationNoise;
use sphinx_client::ClientError;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::one_shot::{Batches, OneShot};
use sphinx_client::recipe::Recipe;
use sphinx_client::recognition::Prediction;
use sphinx_cluster::{LocalCluster, Service, Usage};
use sphinx_evaluation_keys::OneShotProfile;

use super::features::features;
use super::one_shot::{pixels, simulate};
use super::trained;
use super::training::{Model, create};
use crate::error::CliError;
use crate::network;

/// Single recognitions that are timed.
const SINGLE: usize = 50;

/// Image by image, under keys that only pack. Times are wall-clock, transport included.
#[derive(Debug, Serialize)]
pub struct Single {
    network: String,
    /// What it was trained by.
    recipe: String,
    /// One image after the other, mean, features included.
    seconds_per_image: f64,
    /// The first request: keys fetched and transformed, model prepared.
    first_request_seconds: f64,
    query_bytes: usize,
    answer_bytes: usize,
    key_bytes: usize,
    images_encrypted: usize,
    accuracy_encrypted: f64,
    /// Share of the encrypted images on which the simulation with noise says the same.
    agreement: f64,
    /// Of these images in the clear.
    accuracy_clear: f64,
}

/// All images in as few requests as possible.
#[derive(Debug, Serialize)]
pub struct Batch {
    images: usize,
    /// From features to labels.
    seconds_per_10000: f64,
    /// From pixels to features, on this side.
    features_seconds_per_10000: f64,
    bytes_up_per_image: f64,
    bytes_down_per_image: f64,
    accuracy_encrypted: f64,
    /// Share of images on which the network in the clear says the same.
    agreement: f64,
    server_peak_bytes: Option<u64>,
}

/// Trains by a recipe in the clear, stores the model, and recognises `images` test images both
/// ways.
pub async fn measure(
    cluster: &LocalCluster,
    recipe: &str,
    images: usize,
) -> Result<(Single, Batch), CliError> {
    let recipe = Recipe::load(recipe)?;
    let spec = network::load(&recipe.network)?;
    let TrainTest { train, test } = sphinx_mnist::load()?;
    let test = crate::data::first(test, Some(images));
    let model = create(cluster, &spec, &format!("linear-{}", spec.name)).await?;
    trained::store(&model, &spec, train, recipe.options()?).await?;
    let read_key = model.read_key().await?;
    let Model { client, model_id, key_id, key: root } = model;

    let mut rng = sphinx_client::secure_rng();
    let key = Arc::new(root.one_shot_key()?);
    let keys = key.evaluation_keys(OneShotProfile::Packing, &mut rng);
    let keys = keys.and_then(|keys| keys.to_bytes()).map_err(ClientError::from)?;
    let key_bytes = keys.len();
    client.register_evaluation_keys(&key_id, &keys.into(), "sphinx bench").await?;
    let one_shot = OneShot::new(&client, key, Arc::clone(&read_key)).await?;
    let all: Vec<Vec<f32>> = (0..test.len()).map(|index| pixels(&test, index)).collect();
    let request = one_shot.request(&all[0], &mut rng)?;
    let query_bytes = request.message_bytes();
    let started = Instant::now();
    let answer_bytes = one_shot.answer(request).await.map(|answer| answer.message_bytes())?;
    let first_request_seconds = started.elapsed().as_secs_f64();
    let single = SINGLE.min(all.len());
    let started = Instant::now();
    for image in &all[..single] {
        one_shot.infer(image, &mut rng).await?;
    }
    let seconds_per_image = started.elapsed().as_secs_f64() / single as f64;
    let seen = one_shot.infer_many(&all, &mut rng).await?;

    let stored = client.export_model(&model_id, &root).await?;
    let features = features(&spec, &all)?;
    let (_, noisy) = simulate(&stored, &features.rows, SimulationNoise::Predicted)?;
    let (_, clear) = simulate(&stored, &features.rows, SimulationNoise::None)?;
    let singles = Single {
        network: spec.name.clone(),
        recipe: recipe.name,
        seconds_per_image,
        first_request_seconds,
        query_bytes,
        answer_bytes,
        key_bytes,
        images_encrypted: seen.len(),
        accuracy_encrypted: right(&seen, &test),
        agreement: same(&seen, &noisy),
        accuracy_clear: share(test.len(), |index| {
            clear[index] == usize::from(test.labels()[index])
        }),
    };

    let batches = Batches::new(&client, read_key).await?;
    let before = batches.traffic();
    let started = Instant::now();
    let seen = batches.infer_features(features.rows).await?;
    let seconds = started.elapsed().as_secs_f64();
    let traffic = batches.traffic();
    let count = seen.len() as f64;
    let server = cluster.pid(Service::Inference).and_then(Usage::of);
    let batch = Batch {
        images: seen.len(),
        seconds_per_10000: seconds * 1e4 / count,
        features_seconds_per_10000: features.seconds * 1e4 / count,
        bytes_up_per_image: (traffic.up - before.up) as f64 / count,
        bytes_down_per_image: (traffic.down - before.down) as f64 / count,
        accuracy_encrypted: right(&seen, &test),
        agreement: same(&seen, &clear),
        server_peak_bytes: server.map(|usage| usage.peak_resident_bytes),
    };
    Ok((singles, batch))
}

fn share(of: usize, counts: impl Fn(usize) -> bool) -> f64 {
    (0..of).filter(|&index| counts(index)).count() as f64 / of as f64
}

fn right(seen: &[Prediction], test: &Dataset) -> f64 {
    share(seen.len(), |index| seen[index].class == usize::from(test.labels()[index]))
}

fn same(seen: &[Prediction], classes: &[usize]) -> f64 {
    share(seen.len(), |index| seen[index].class == classes[index])
}
