//! Queries whose answers are known: a service that answers them wrongly is found out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::{CryptoRng, Rng, RngExt};
use sphinx_bootstrap::{DEFAULT_HALF_RANGE, OneShotNetwork, Simulation, SimulationNoise};
use sphinx_evaluation_keys::OneShotProfile;
use zeroize::Zeroizing;

use crate::error::OneShotInferenceError;
use crate::recognition::model::OpenedVersion;

/// Evaluations in the clear, noise included, that a canary's answer is known from.
const SIMULATIONS: usize = 64;
/// Deviations that an honest answer may lie beside their mean: a wrong one is final.
const DEVIATIONS: f64 = 12.0;
/// Least deviation that is reckoned with, units of a logit.
const LEAST: f64 = 0.02;

/// What canaries of a version are made of.
pub(super) struct Canaries {
    share: f64,
    simulation: Simulation,
    /// Of what enters the first linear layer.
    scalars: usize,
    bound: f32,
    answered: AtomicU64,
}

/// What enters the first linear layer, and what leaves the last.
pub(super) struct Canary {
    input: Zeroizing<Vec<f32>>,
    /// Mean and greatest distance, by class.
    logits: Vec<(f64, f64)>,
}

/// The probability that a service that cheats on a share of its answers is found out by so many
/// canaries: 1 - (1 - share)^canaries.
pub fn detection(share: f64, canaries: u64) -> f64 {
    1.0 - (1.0 - share.clamp(0.0, 1.0)).powf(canaries as f64)
}

impl Canaries {
    pub fn new(opened: &OpenedVersion, share: f64) -> Result<Self, OneShotInferenceError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(OneShotInferenceError::CanaryShare { got: share });
        }
        let OpenedVersion { plan, spec, weights, biases, .. } = opened;
        let (profile, bound) = (OneShotProfile::default(), spec.bias_bound);
        let network = OneShotNetwork::new(profile, plan, weights, bound, DEFAULT_HALF_RANGE)?;
        let biases: Vec<&[f32]> = biases.iter().map(|biases| biases.as_slice()).collect();
        let scalars = network.layout().scalars();
        Ok(Self {
            share,
            simulation: Simulation::new(Arc::new(network), &biases)?,
            scalars,
            bound: plan.stages.first().map_or(1.0, |stage| stage.input_bound),
            answered: AtomicU64::new(0),
        })
    }

    /// Canaries for so many images: on average the share of all queries.
    pub fn among(&self, images: usize, rng: &mut impl CryptoRng) -> Vec<Canary> {
        let mut canaries = Vec::new();
        for _ in 0..images {
            while rng.random::<f64>() < self.share {
                canaries.push(self.make(rng));
            }
        }
        canaries
    }

    /// A fresh canary. What it shows is nothing: nobody sees it, and its answer tells as much about
    /// the service as any other.
    fn make(&self, rng: &mut impl CryptoRng) -> Canary {
        // Blots of random size and brightness, so that every weight counts in some canaries.
        let length = rng.random_range(1..=self.scalars.min(64));
        let mut input = Zeroizing::new(Vec::with_capacity(self.scalars + length));
        while input.len() < self.scalars {
            let value = self.bound * rng.random::<f32>();
            let run = rng.random_range(1..=length);
            input.extend(std::iter::repeat_n(value, run));
        }
        input.truncate(self.scalars);
        let logits = self.known(&input, rng);
        Canary { input, logits }
    }

    fn known(&self, input: &[f32], rng: &mut impl Rng) -> Vec<(f64, f64)> {
        let noise = SimulationNoise::Predicted;
        let simulated: Vec<Vec<f64>> =
            (0..SIMULATIONS).map(|_| self.simulation.logits(input, noise, rng)).collect();
        let classes = simulated.first().map_or(0, Vec::len);
        let known = (0..classes).map(|class| {
            let values = || simulated.iter().map(|logits| logits[class]);
            let mean = values().sum::<f64>() / SIMULATIONS as f64;
            let squares = values().map(|value| (value - mean).powi(2)).sum::<f64>();
            let deviation = (squares / (SIMULATIONS - 1) as f64).sqrt();
            (mean, DEVIATIONS * deviation.max(LEAST))
        });
        known.collect()
    }

    /// Whether an answer is what it has to be; counts those that are.
    pub fn is_right(&self, canary: &Canary, logits: &[f32]) -> bool {
        let right = canary.logits.len() == logits.len()
            && logits
                .iter()
                .zip(&canary.logits)
                .all(|(&logit, (mean, distance))| (f64::from(logit) - mean).abs() <= *distance);
        if right {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        right
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Canary {
    pub fn input(&self) -> &[f32] {
        &self.input
    }
}

/// Without what would tell a canary from other queries.
impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canaries").field("share", &self.share).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
