//! How far one example moves what is released, and how well the server can tell whether it was
//! there.

use std::error::Error;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_attack::trials;
use sphinx_network::StageParameters;
use sphinx_privacy::{Delta, GaussianMechanism, NoiseMultiplier, PlanRequest, PrivacyPlan, Target};

use crate::gradient_space::DELTA;
use crate::steps::{Neighbours, Variant};

/// Distance of the sums of two neighbouring data sets at one step, in clipping norms.
pub struct Distances {
    /// Of the weights' sums: what the server sees the noised version of.
    pub weights: f64,
    /// Of weights' and biases' sums together.
    pub all: f64,
}

/// Trains on both data sets with the same released weights (and, where they are noised, biases),
/// without noise so that the result is one number, and measures how far apart the sums are at every
/// step. Under the assumption of the proof no distance exceeds one clipping norm.
pub fn sensitivity(
    data: &Neighbours,
    initial: &[StageParameters],
    steps: usize,
) -> Result<Vec<Distances>, Box<dyn Error>> {
    let (mut without, mut with) = (initial.to_vec(), initial.to_vec());
    let mut distances = Vec::with_capacity(steps);
    for _ in 0..steps {
        let (a, b) = (data.sum(&without, false)?, data.sum(&with, true)?);
        let unit = f64::from(data.clipping_norm);
        let weights = distance(&a.weights, &b.weights);
        let all = weights.hypot(distance(&a.biases, &b.biases));
        distances.push(Distances { weights: weights / unit, all: all / unit });
        // What is released is the same in both worlds, as when noise covers the difference; exact
        // biases are not.
        let biases = match data.variant {
            Variant::Ours => &a.biases,
            Variant::Paper => &b.biases,
        };
        without = data.step(&without, &a.weights, &a.biases);
        with = data.step(&with, &a.weights, biases);
    }
    Ok(distances)
}

/// The noise that full-batch training for so many steps claims ε with.
pub fn noise(epsilon: f64, steps: usize) -> Result<NoiseMultiplier, Box<dyn Error>> {
    let target = Target::new(epsilon, Delta::new(DELTA)?)?;
    let (examples, epochs) = (100, steps as f64);
    let request =
        PlanRequest { target, examples, expected_batch: None, blocks: 1, copies: 1, epochs };
    Ok(PrivacyPlan::solve(&request)?.segment.noise_multiplier)
}

/// Lower bound on ε from so many trainings with the example and as many without, each judged by
/// somebody who sees the noised sums of the weights and knows everything but whether the example
/// was there (the adversary of the definition).
pub fn epsilon_bound(
    data: &Neighbours,
    initial: &[StageParameters],
    noise: NoiseMultiplier,
    steps: usize,
    trainings: u64,
) -> Result<f64, Box<dyn Error>> {
    let mechanism = data.mechanism(noise)?;
    let scores = |with: bool| -> Result<Vec<f64>, String> {
        (0..trainings)
            .into_par_iter()
            .map(|trial| {
                let mut rng = ChaCha20Rng::seed_from_u64(2 * trial + u64::from(with));
                let score = score(data, initial, &mechanism, steps, with, &mut rng);
                score.map_err(|error| error.to_string())
            })
            .collect()
    };
    Ok(trials::epsilon_bound(&scores(false)?, &scores(true)?, DELTA, 0.95))
}

/// Log-likelihood ratio of one training's released sums.
fn score(
    data: &Neighbours,
    initial: &[StageParameters],
    mechanism: &GaussianMechanism,
    steps: usize,
    with: bool,
    rng: &mut ChaCha20Rng,
) -> Result<f64, Box<dyn Error>> {
    let variance = mechanism.noise_deviation().powi(2);
    let (mut without, mut containing) = (initial.to_vec(), initial.to_vec());
    let mut score = 0.0;
    for _ in 0..steps {
        // One of these is what the client computes, the other what the attacker compares it with.
        let (a, b) = (data.sum(&without, false)?, data.sum(&containing, true)?);
        let released = data.release(if with { &b } else { &a }, mechanism, rng)?;
        score += likelihood_ratio(&released.weights, &a.weights, &b.weights) / variance;
        let (biases_a, biases_b) = match data.variant {
            // Noised biases are granted to the attacker, as the guarantee covers them.
            Variant::Ours => {
                score += likelihood_ratio(&released.biases, &a.biases, &b.biases) / variance;
                (&released.biases, &released.biases)
            }
            // Exact ones never reach it: it computes them for both worlds.
            Variant::Paper => (&a.biases, &b.biases),
        };
        let step = |parameters: &[StageParameters], biases: &Vec<Vec<f64>>| {
            data.step(parameters, &released.weights, biases)
        };
        (without, containing) = (step(&without, biases_a), step(&containing, biases_b));
    }
    Ok(score)
}

/// ⟨r − (a + b)/2, b − a⟩: variance times the log-likelihood ratio of r = b + noise against r = a +
/// noise.
fn likelihood_ratio(released: &[Vec<f64>], a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten()).zip(released.iter().flatten());
    pairs.map(|((a, b), r)| (r - 0.5 * (a + b)) * (b - a)).sum()
}

fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}
