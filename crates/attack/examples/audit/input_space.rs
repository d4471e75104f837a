//! Canaries in input space: mislabelled images among real ones, through the whole training loop,
//! judged by somebody who sees the noised gradients of the weights and knows all else but the
//! coins.

use std::error::Error;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_attack::Network;
use sphinx_client::data::Dataset;
use sphinx_client::{ClearTwin, Privacy, TrainingOptions, train_without_ledger};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, PlanRequest, PrivacyPlan, Target};

use crate::gradient_space::{DELTA, Outcome};
use crate::tap::{Seen, tapped};

/// A training with canaries.
pub struct Experiment {
    pub spec: NetworkSpec,
    /// Real examples, always in the data.
    pub examples: usize,
    /// Mislabelled ones, in by a fair coin each.
    pub canaries: usize,
    pub epsilon: f64,
    pub steps: u64,
    pub clipping_norm: f32,
    pub rate: f32,
}

/// The attacker's linear model: noised sums are sums of the canaries' gradients in unknown amounts,
/// plus noise.
struct Decoder {
    canaries: usize,
    /// Σ over steps of G Gᵀ / (σC)², canaries × canaries.
    precision: Vec<f64>,
    /// Σ over steps of G r / (σC)².
    evidence: Vec<f64>,
}

impl Experiment {
    /// Trains, then scores every canary.
    pub fn run(&self, data: &Dataset, seed: u64) -> Result<Outcome, Box<dyn Error>> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let inside: Vec<bool> = (0..self.canaries).map(|_| rng.random()).collect();
        let canary = |index: usize| (self.examples + index, self.mislabel(data, index));
        let canaries: Vec<(usize, u8)> = (0..self.canaries).map(canary).collect();
        let real = (0..self.examples).map(|index| (index, data.labels()[index]));
        let members = canaries.iter().zip(&inside).filter(|(_, inside)| **inside);
        let training = pick(data, real.chain(members.map(|(canary, _)| *canary)))?;

        let plan = Plan::new(&self.spec)?;
        let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
        let target = Target::new(self.epsilon, Delta::new(DELTA)?)?;
        let options = self.options(target);
        let mut twin = ClearTwin::new(&plan, initial, options.rule(training.len())?)?;
        let mut steps = Vec::new();
        let mut tap = tapped(&mut twin, &mut steps);
        let bytes = std::array::from_fn(|at| if at == 0 { seed as u8 } else { 77 });
        train_without_ledger(&mut tap, &self.spec, &training, &options, bytes, &mut |_| true)?;

        drop(tap);

        let request = PlanRequest {
            target,
            examples: training.len() as u64,
            expected_batch: None,
            blocks: 1,
            copies: 1,
            epochs: self.steps as f64,
        };
        let noise = PrivacyPlan::solve(&request)?.segment.noise_multiplier.get();
        let deviation = noise * f64::from(self.clipping_norm);
        let network = Network::new(&plan)?;
        let mut decoder = Decoder::new(self.canaries);
        for seen in &steps {
            let gradient =
                |&(index, label): &(usize, u8)| self.clipped(&network, seen, data, index, label);
            let rows: Vec<Vec<f32>> =
                canaries.par_iter().map(gradient).collect::<Result<_, String>>()?;
            let known = (0..self.examples).map(|index| (index, data.labels()[index]));
            let known: Vec<(usize, u8)> = known.collect();
            let known =
                known.par_iter().map(gradient).try_reduce(Vec::new, |a, b| Ok(add(a, b)))?;
            let size = training.len() as f64;
            let rest: Vec<f64> = seen
                .gradient
                .iter()
                .flatten()
                .zip(&known)
                .map(|(&noised, &known)| f64::from(noised) * size - f64::from(known))
                .collect();
            decoder.absorb(&rows, &rest, deviation);
        }
        Ok(Outcome { scores: decoder.amounts(), inside })
    }

    fn options(&self, target: Target) -> TrainingOptions {
        TrainingOptions {
            epochs: self.steps as f64,
            blocks: 1,
            batch: None,
            optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
            learning_rate: self.rate,
            decay: Decay::Constant,
            warmup: 0,
            averaging: None,
            augmentation: None,
            persons: None,
            privacy: Privacy::Budget { target, clipping_norm: self.clipping_norm },
        }
    }

    fn mislabel(&self, data: &Dataset, canary: usize) -> u8 {
        (data.labels()[self.examples + canary] + 1 + (canary % 9) as u8) % 10
    }

    /// The weights' part of an example's gradient, weights and biases clipped together.
    fn clipped(
        &self,
        network: &Network,
        seen: &Seen,
        data: &Dataset,
        index: usize,
        label: u8,
    ) -> Result<Vec<f32>, String> {
        let image = data.pixels(index).unwrap_or_default();
        let (weights, biases) = parts(&seen.before);
        let gradient = network.gradient(&weights, &biases, &image, label);
        let gradient = gradient.map_err(|error| error.to_string())?;
        let all = gradient.weights.iter().chain(&gradient.biases).flatten();
        let norm = all.map(|g| g * g).sum::<f64>().sqrt();
        let factor = (f64::from(self.clipping_norm) / norm).min(1.0);
        Ok(gradient.weights.iter().flatten().map(|g| (g * factor) as f32).collect())
    }
}

impl Decoder {
    fn new(canaries: usize) -> Self {
        Self { canaries, precision: vec![0.0; canaries * canaries], evidence: vec![0.0; canaries] }
    }

    fn absorb(&mut self, rows: &[Vec<f32>], rest: &[f64], deviation: f64) {
        let variance = deviation * deviation;
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a * b)).sum()
        };
        let canaries = self.canaries;
        self.precision.par_chunks_mut(canaries).zip(rows).for_each(|(line, a)| {
            line.iter_mut().zip(rows).for_each(|(sum, b)| *sum += product(a, b) / variance);
        });
        for (sum, row) in self.evidence.iter_mut().zip(rows) {
            let along: f64 = row.iter().zip(rest).map(|(&g, r)| f64::from(g) * r).sum();
            *sum += along / variance;
        }
    }

    /// The posterior means of the amounts, a priori 1/2 ± 1/2: (A + 4)⁻¹ (evidence − A · ½), by
    /// conjugate gradients.
    fn amounts(&self) -> Vec<f64> {
        let n = self.canaries;
        let apply = |x: &[f64]| -> Vec<f64> {
            let line = |i: usize| -> f64 {
                let row = &self.precision[i * n..(i + 1) * n];
                4.0 * x[i] + row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>()
            };
            (0..n).map(line).collect()
        };
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let half = |i: usize| self.precision[i * n..(i + 1) * n].iter().sum::<f64>() / 2.0;
        let mut x = vec![0.0; n];
        let mut residual: Vec<f64> = (0..n).map(|i| self.evidence[i] - half(i)).collect();
        let mut direction = residual.clone();
        let mut square = dot(&residual, &residual);
        for _ in 0..4 * n {
            if square < 1e-18 {
                break;
            }
            let image = apply(&direction);
            let step = square / dot(&direction, &image);
            x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&image).for_each(|(r, i)| *r -= step * i);
            let next = dot(&residual, &residual);
            let keep = next / square;
            direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + keep * *d);
            square = next;
        }
        x
    }
}

fn parts(stages: &[StageParameters]) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    stages.iter().map(|stage| (stage.weights.clone(), stage.biases.clone())).unzip()
}

fn add(mut a: Vec<f32>, b: Vec<f32>) -> Vec<f32> {
    if a.is_empty() {
        return b;
    }
    a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
    a
}

fn pick(
    data: &Dataset,
    examples: impl Iterator<Item = (usize, u8)>,
) -> Result<Dataset, Box<dyn Error>> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (index, label) in examples {
        images.extend_from_slice(data.levels(index).unwrap_or_default());
        labels.push(label);
    }
    Ok(Dataset::new(images, labels, data.shape(), data.classes().clone())?)
}
