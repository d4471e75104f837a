//! Recognition in one shot through real services: what it costs, and how often it is right.

use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use serde::Serialize;
use sphinx_bootstrap::{DEFAULT_HALF_RANGE, OneShotNetwork, Simulation, SimulationNoise};
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::one_shot::OneShot;
use sphinx_client::recipe::Recipe;
use sphinx_client::{ClientError, ModelParameters, TrainingOptions};
use sphinx_cluster::{LocalCluster, Service, Usage};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_network::Plan;

use super::features::features;
use super::trained;
use super::training::{Model, create};
use crate::error::CliError;
use crate::network;

/// Whose hyper-parameters are used, for other networks as well.
const RECIPE: &str = "mlp-100-no-privacy";
/// Images of the run that is measured as a whole.
const RUN: usize = 32;
/// Single recognitions that are timed.
const SINGLE: usize = 20;

/// Times are wall-clock, transport included.
#[derive(Debug, Serialize)]
pub struct Figures {
    network: String,
    /// Blind rotations per image.
    neurons: usize,
    /// One image after the other, mean.
    seconds_per_image: f64,
    /// A run of 32 images.
    images_per_second: f64,
    key_bytes: usize,
    query_bytes: usize,
    answer_bytes: usize,
    keygen_seconds: f64,
    /// The first request: keys fetched and transformed, model prepared.
    first_request_seconds: f64,
    /// Images recognised under encryption.
    images_encrypted: usize,
    /// Share of those that are right.
    accuracy_encrypted: f64,
    /// Share of all test images that are right in the clear, with the noise that the parameters
    /// predict.
    accuracy_simulated: f64,
    /// The same without noise.
    accuracy_clear: f64,
    /// Share of the encrypted images on which the simulation says the same.
    agreement: f64,
    server_peak_bytes: Option<u64>,
}

/// Trains `name` in the clear, stores it, and recognises `images` test images.
pub async fn measure(
    cluster: &LocalCluster,
    name: &str,
    images: usize,
    epochs: f64,
) -> Result<Figures, CliError> {
    let spec = network::load(name)?;
    let TrainTest { train: data, test } = sphinx_mnist::load()?;
    let model = create(cluster, &spec, &format!("one-shot-{name}")).await?;
    let options = TrainingOptions { epochs, ..Recipe::load(RECIPE)?.options()? };
    trained::store(&model, &spec, data, options).await?;
    let read_key = model.read_key().await?;
    let Model { client, model_id, key_id, key: root } = model;
    let key = Arc::new(root.one_shot_key()?);

    let mut rng = sphinx_client::secure_rng();
    let started = Instant::now();
    let keys = key.evaluation_keys(OneShotProfile::default(), &mut rng);
    let keys = keys.and_then(|keys| keys.to_bytes()).map_err(ClientError::from)?;
    let keygen_seconds = started.elapsed().as_secs_f64();
    let key_bytes = keys.len();
    client.register_evaluation_keys(&key_id, &keys.into(), "sphinx bench").await?;

    let one_shot = OneShot::new(&client, key, read_key).await?;
    let count = images.clamp(RUN.max(SINGLE), test.len());
    let pixels: Vec<Vec<f32>> = (0..count).map(|index| pixels(&test, index)).collect();
    let request = one_shot.request(&pixels[0], &mut rng)?;
    let query_bytes = request.message_bytes();
    let started = Instant::now();
    let answer_bytes = one_shot.answer(request).await.map(|answer| answer.message_bytes())?;
    let first_request_seconds = started.elapsed().as_secs_f64();

    let started = Instant::now();
    for image in &pixels[..SINGLE] {
        one_shot.infer(image, &mut rng).await?;
    }
    let seconds_per_image = started.elapsed().as_secs_f64() / SINGLE as f64;
    let started = Instant::now();
    let mut predictions = one_shot.infer_many(&pixels[..RUN], &mut rng).await?;
    let images_per_second = RUN as f64 / started.elapsed().as_secs_f64();
    predictions.extend(one_shot.infer_many(&pixels[RUN..], &mut rng).await?);
    let server = cluster.pid(Service::Inference).and_then(Usage::of);

    let stored = client.export_model(&model_id, &root).await?;
    let all: Vec<Vec<f32>> = (0..test.len()).map(|index| self::pixels(&test, index)).collect();
    let inputs = features(&stored.model.network, &all)?.rows;
    let (network, simulated) = simulate(&stored, &inputs, SimulationNoise::Predicted)?;
    let (_, clear) = simulate(&stored, &inputs, SimulationNoise::None)?;
    let share = |right: &dyn Fn(usize) -> bool, of: usize| {
        (0..of).filter(|&index| right(index)).count() as f64 / of as f64
    };
    let label = |index: usize| usize::from(test.labels()[index]);
    Ok(Figures {
        network: name.to_owned(),
        neurons: network.neurons(),
        seconds_per_image,
        images_per_second,
        key_bytes,
        query_bytes,
        answer_bytes,
        keygen_seconds,
        first_request_seconds,
        images_encrypted: count,
        accuracy_encrypted: share(&|index| predictions[index].class == label(index), count),
        accuracy_simulated: share(&|index| simulated[index] == label(index), test.len()),
        accuracy_clear: share(&|index| clear[index] == label(index), test.len()),
        agreement: share(&|index| predictions[index].class == simulated[index], count),
        server_peak_bytes: server.map(|usage| usage.peak_resident_bytes),
    })
}

/// The classes of all inputs of the first layer by the network in the clear.
pub(super) fn simulate(
    stored: &ModelParameters,
    inputs: &[Vec<f32>],
    noise: SimulationNoise,
) -> Result<(Arc<OneShotNetwork>, Vec<usize>), CliError> {
    let plan = Plan::new(&stored.model.network)?;
    let weights: Vec<_> = stored.stages.iter().map(|stage| &stage.weights[..]).collect();
    let biases: Vec<_> = stored.stages.iter().map(|stage| &stage.biases[..]).collect();
    let (profile, bound) = (OneShotProfile::default(), stored.model.network.bias_bound);
    let network = OneShotNetwork::new(profile, &plan, &weights, bound, DEFAULT_HALF_RANGE)?;
    let network = Arc::new(network);
    let simulation = Simulation::new(Arc::clone(&network), &biases)?;
    let classes = inputs.par_iter().enumerate().map(|(index, input)| {
        let mut rng = ChaCha20Rng::seed_from_u64(index as u64);
        simulation.classify(input, noise, &mut rng)
    });
    Ok((network, classes.collect()))
}

pub(super) fn pixels(set: &Dataset, index: usize) -> Vec<f32> {
    set.pixels(index).unwrap_or_default()
}
