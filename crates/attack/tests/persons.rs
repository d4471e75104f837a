//! A person whose images are all mislabelled among others with 1 to 20 images each, through the
//! whole training loop: with persons as units the claim holds for him, with images it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "tests")]

#[path = "../examples/audit/steps.rs"]
mod steps;
#[path = "../examples/audit/tap.rs"]
mod tap;

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_attack::{Network, trials};
use sphinx_client::data::Dataset;
use sphinx_client::{ClearTwin, Persons, Privacy, TrainingOptions, train_without_ledger};
use sphinx_network::{Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};

const DELTA: f64 = 1e-5;
const CLAIM: f64 = 2.0;
const CLIPPING_NORM: f32 = 0.1;
const PERSONS: usize = 60;
/// Images of the person in question.
const IMAGES: usize = 20;

/// Made from MNIST: person p has p mod 20 + 1 images; the last one 20, all with one wrong label.
struct World {
    data: Dataset,
    owners: Vec<String>,
    plan: Plan,
    initial: Vec<StageParameters>,
}

impl World {
    fn new() -> Self {
        let mnist = sphinx_mnist::load().unwrap().train;
        let mut owners = Vec::new();
        for person in 0..PERSONS {
            owners.extend(vec![person.to_string(); person % 20 + 1]);
        }
        let others = owners.len();
        owners.extend(vec!["canary".to_owned(); IMAGES]);
        // Ones, said to be something else.
        let ones = (others..mnist.len()).filter(|&index| mnist.labels()[index] == 1).take(IMAGES);
        let indices: Vec<usize> = (0..others).chain(ones).collect();
        let chosen = mnist.select(&indices).unwrap();
        let levels = (0..chosen.len()).filter_map(|index| chosen.levels(index)).flatten();
        let mut labels = chosen.labels().to_vec();
        labels[others..].fill(8);
        let (levels, shape) = (levels.copied().collect(), chosen.shape());
        let data = Dataset::new(levels, labels, shape, chosen.classes().clone()).unwrap();
        let plan = Plan::new(&steps::small_network()).unwrap();
        let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
        Self { data, owners, plan, initial }
    }

    /// One step on everybody, so that sampling hides nothing and the noise is the same with the
    /// canary and without.
    fn options(&self, units: bool, inside: bool) -> TrainingOptions {
        let owners = &self.owners[..self.examples(inside)];
        let persons = units.then(|| Arc::new(Persons::new(owners, IMAGES).unwrap()));
        let target = Target::new(CLAIM, Delta::new(DELTA).unwrap()).unwrap();
        TrainingOptions {
            epochs: 1.0,
            blocks: if units { 2 } else { 1 },
            batch: Some(if units { PERSONS + usize::from(inside) } else { owners.len() } as u64),
            optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
            learning_rate: 1.0,
            decay: Decay::Constant,
            warmup: 0,
            averaging: None,
            augmentation: None,
            persons,
            privacy: Privacy::Budget { target, clipping_norm: CLIPPING_NORM },
        }
    }

    fn examples(&self, inside: bool) -> usize {
        self.data.len() - if inside { 0 } else { IMAGES }
    }

    /// The weights' part of what the canary adds: his clipped mean, or his clipped gradients.
    fn contribution(&self, units: bool) -> Vec<f64> {
        let network = Network::new(&self.plan).unwrap();
        let (weights, biases): (Vec<_>, Vec<_>) =
            self.initial.iter().map(|s| (s.weights.clone(), s.biases.clone())).unzip();
        let clip = |all: &[f64], norm: f64| -> Vec<f64> {
            let length = all.iter().map(|g| g * g).sum::<f64>().sqrt();
            all.iter().map(|g| g * (norm / length).min(1.0)).collect()
        };
        let first = self.data.len() - IMAGES;
        let (mut sum, mut count) = (Vec::new(), 0);
        for index in first..self.data.len() {
            let (image, label) = (self.data.pixels(index).unwrap(), self.data.labels()[index]);
            let gradient = network.gradient(&weights, &biases, &image, label).unwrap();
            count = gradient.weights.iter().map(Vec::len).sum();
            let all: Vec<f64> =
                gradient.weights.iter().chain(&gradient.biases).flatten().copied().collect();
            let norm = if units { f64::INFINITY } else { f64::from(CLIPPING_NORM) };
            sum.resize(all.len(), 0.0);
            sum.iter_mut().zip(clip(&all, norm)).for_each(|(sum, g)| *sum += g);
        }
        if units {
            sum.iter_mut().for_each(|g| *g /= IMAGES as f64);
            sum = clip(&sum, f64::from(CLIPPING_NORM));
        }
        sum.truncate(count);
        sum
    }

    /// The released sum along the canary's contribution, once with him and once without.
    fn scores(&self, units: bool, contribution: &[f64], seed: u64) -> [f64; 2] {
        [false, true].map(|inside| {
            let options = self.options(units, inside);
            let mut data = self.data.clone();
            data.truncate(self.examples(inside));
            let rule = options.rule(data.len()).unwrap();
            let mut twin = ClearTwin::new(&self.plan, self.initial.clone(), rule).unwrap();
            let mut seen = Vec::new();
            let mut tap = tap::tapped(&mut twin, &mut seen);
            let mut bytes = [u8::from(inside); 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            let spec = steps::small_network();
            train_without_ledger(&mut tap, &spec, &data, &options, bytes, &mut |_| true).unwrap();
            drop(tap);
            let noised = seen[0].gradient.iter().flatten().map(|&g| f64::from(g));
            let batch = options.batch.unwrap() as f64;
            noised.zip(contribution).map(|(g, c)| g * c * batch).sum()
        })
    }

    /// Lower bound on ε of the canary, with 95 % confidence.
    fn bound(&self, units: bool, trials: u64) -> f64 {
        let contribution = self.contribution(units);
        let scores = |seed| self.scores(units, &contribution, seed);
        let scores: Vec<[f64; 2]> = (0..trials).into_par_iter().map(scores).collect();
        let side = |side: usize| -> Vec<f64> { scores.iter().map(|pair| pair[side]).collect() };
        trials::epsilon_bound(&side(0), &side(1), DELTA, 0.95)
    }
}

#[test]
fn a_person_is_protected_as_claimed_where_persons_are_the_units_and_not_where_images_are() {
    let world = World::new();
    let (persons, images) = (world.bound(true, 200), world.bound(false, 150));
    println!("claimed {CLAIM}: persons as units {persons:.2}, images as units {images:.2}");
    assert!(persons < CLAIM, "{persons}");
    assert!(images > CLAIM, "{images}");
}
