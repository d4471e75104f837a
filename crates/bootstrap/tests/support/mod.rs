//! Shared by tests and examples: MNIST, networks trained in the clear, and the whole way of a
//! recognition.

#![allow(dead_code, reason = "every test and example uses its part")]

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flate2::read::GzDecoder;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::{
    Control, DEFAULT_HALF_RANGE, OneShotModel, OneShotNetwork, PreparedKeys, Simulation,
};
use sphinx_evaluation_keys::{EvaluationKeys, OneShotProfile};
use sphinx_gradient::{BlockPass, ClearStage, Clipping, Tensor};
use sphinx_linalg::{BIAS_GRID_LOG2, EncryptedBiases};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape, StageParameters, initial_parameters};
use sphinx_optimizer::{Optimizer, OptimizerSpec};
use sphinx_secret::SecretKey;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Images as pixels in `[0, 1]`, and their labels.
pub struct Images {
    pub pixels: Vec<f32>,
    pub labels: Vec<u8>,
}

impl Images {
    /// MNIST's training images, or its test images.
    pub fn mnist(training: bool) -> Outcome<Self> {
        let name = if training { "train" } else { "t10k" };
        let images = read(&format!("{name}-images-idx3-ubyte.gz"))?;
        let labels = read(&format!("{name}-labels-idx1-ubyte.gz"))?;
        let pixels = images[16..].iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Ok(Self { pixels, labels: labels[8..].to_vec() })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn image(&self, index: usize) -> &[f32] {
        let size = self.pixels.len() / self.len();
        &self.pixels[index * size..][..size]
    }
}

fn read(name: &str) -> Outcome<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist").join(name);
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path)?).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// 784 → `hidden` → 10 with an activation of `levels` values.
pub fn mlp(hidden: usize, levels: u32) -> NetworkSpec {
    NetworkSpec {
        name: format!("mlp-{hidden}"),
        input: Shape::new(1, 28, 28),
        bias_bound: 4.0,
        layers: vec![
            LayerSpec::Dense { outputs: hidden },
            LayerSpec::QuantisedTanh { levels },
            LayerSpec::Dense { outputs: 10 },
        ],
    }
}

/// A small convolution, then two dense layers, with tables of all kinds.
pub fn small_conv() -> NetworkSpec {
    NetworkSpec {
        name: "small-conv".into(),
        input: Shape::new(1, 28, 28),
        bias_bound: 4.0,
        layers: vec![
            LayerSpec::Conv {
                out_channels: 2,
                kernel: 5,
                stride: 1,
                padding: 0,
                filters: sphinx_network::Filters::Random,
            },
            LayerSpec::AvgPool { size: 4 },
            LayerSpec::Sigmoid,
            LayerSpec::Dense { outputs: 16 },
            LayerSpec::Relu { cap: 4.0 },
            LayerSpec::Dense { outputs: 10 },
        ],
    }
}

/// Trains on the first `count` images with Adam, in blocks of `block`.
pub fn train(
    spec: &NetworkSpec,
    images: &Images,
    count: usize,
    block: usize,
    epochs: usize,
) -> Outcome<Vec<StageParameters>> {
    let plan = Arc::new(Plan::new(spec)?);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut parameters = initial_parameters(&plan, &mut rng);
    let layers: Vec<ClearStage> = plan.stages.iter().map(ClearStage::new).collect();
    let adam = OptimizerSpec::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let mut optimizers = Vec::new();
    for stage in &parameters {
        let new = |length| Optimizer::new(adam, length);
        optimizers.push((new(stage.weights.len())?, new(stage.biases.len())?));
    }
    let pixels = plan.input.len();
    let steps = epochs * count.div_ceil(block);
    for step in 0..steps {
        let mut tensor = vec![0f32; pixels * block];
        let mut labels = vec![None; block];
        for (slot, label) in labels.iter_mut().enumerate() {
            // A stride that is coprime to the count visits all images in another order every epoch.
            let index = (step * block + slot) * 7919 % count;
            *label = Some(images.labels[index]);
            for (row, &pixel) in images.image(index).iter().enumerate() {
                tensor[row * block + slot] = pixel;
            }
        }
        let tensor = Tensor::new(pixels, block, tensor)?;
        let mut pass = BlockPass::new(Arc::clone(&plan), &tensor, &labels)?;
        for (stage, layer) in layers.iter().enumerate() {
            let z = layer.forward(&parameters[stage], pass.input(stage)?)?;
            pass.absorb(stage, z)?;
        }
        for (stage, layer) in layers.iter().enumerate().skip(1).rev() {
            let e = layer.backward(&parameters[stage], &pass.delta(stage)?.tensor)?;
            pass.absorb_backward(stage, e)?;
        }
        let gradient = pass.clipped_gradient(Clipping::None)?;
        let rates = adam.rates(4e-3 * (1.0 - step as f32 / steps as f32), step as u64 + 1);
        for (stage, parameters) in parameters.iter_mut().enumerate() {
            let mean = |sums: &[f64]| -> Vec<f32> {
                sums.iter().map(|sum| (sum / block as f64) as f32).collect()
            };
            let (weights, biases) = (&gradient.weights[stage], &gradient.biases[stage]);
            optimizers[stage].0.apply(&mut parameters.weights, &mean(weights), &rates)?;
            optimizers[stage].1.apply(&mut parameters.biases, &mean(biases), &rates)?;
        }
    }
    // Biases of a model lie on a grid.
    let grid = f32::from(2u8).powi(BIAS_GRID_LOG2 as i32);
    for bias in parameters.iter_mut().flat_map(|stage| stage.biases.iter_mut()) {
        *bias = (bias.clamp(-spec.bias_bound, spec.bias_bound) * grid).round() / grid;
    }
    Ok(parameters)
}

/// A client and its model, ready to recognise.
pub struct Party {
    pub key: SecretKey,
    pub keys: EvaluationKeys,
    pub prepared: PreparedKeys,
    pub model: OneShotModel,
    pub simulation: Simulation,
    pub rng: ChaCha20Rng,
}

impl Party {
    pub fn new(spec: &NetworkSpec, parameters: &[StageParameters]) -> Outcome<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let key = SecretKey::generate(&mut rng)?;
        let keys = key.evaluation_keys(OneShotProfile::Standard, &mut rng)?;
        let network = network(spec, parameters)?;
        let mut encrypted = Vec::new();
        for stage in parameters {
            encrypted.push(encrypt_biases(&key, &stage.biases, &mut rng)?);
        }
        let biases: Vec<&[f32]> = parameters.iter().map(|stage| &stage.biases[..]).collect();
        Ok(Self {
            prepared: PreparedKeys::new(&keys),
            model: OneShotModel::new(Arc::clone(&network), &encrypted)?,
            simulation: Simulation::new(network, &biases)?,
            key,
            keys,
            rng,
        })
    }

    /// The decrypted logits of one image.
    pub fn recognise(&mut self, image: &[f32]) -> Outcome<Vec<f64>> {
        let network = self.model.network();
        let query = self.key.encrypt_query(network.layout(), image, &mut self.rng)?;
        let going_on = AtomicBool::new(false);
        let control = Control::new(&going_on, &|_| ());
        let answer = self.model.evaluate(&self.prepared, &query, &control)?;
        Ok(self.key.decrypt_answer(&answer, network.classes())?)
    }
}

/// The network of a plan at the default range.
pub fn network(spec: &NetworkSpec, parameters: &[StageParameters]) -> Outcome<Arc<OneShotNetwork>> {
    let plan = Plan::new(spec)?;
    let weights: Vec<&[f32]> = parameters.iter().map(|stage| &stage.weights[..]).collect();
    let profile = OneShotProfile::Standard;
    let bound = spec.bias_bound;
    Ok(Arc::new(OneShotNetwork::new(profile, &plan, &weights, bound, DEFAULT_HALF_RANGE)?))
}

/// Biases as a trainer holds them: a sample each.
pub fn encrypt_biases(
    key: &SecretKey,
    biases: &[f32],
    rng: &mut ChaCha20Rng,
) -> Outcome<EncryptedBiases> {
    let samples = key.encrypt_biases(biases, rng);
    Ok(EncryptedBiases::from_samples(&samples.seeds, &samples.bodies, biases.len())?)
}

/// The index of the largest value.
pub fn class(logits: &[f64]) -> usize {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}
