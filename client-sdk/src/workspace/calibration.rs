//! Probabilities that mean what they say, and how unlike an image is to those of a model.
//!
//! Made on request from answers to images whose classes are known. Of private images it says
//! something that ε does not cover: it stays at home, and nobody is sent it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sphinx_proto::{ModelId, TenantId};

use crate::recognition::Prediction;
use crate::workspace::kept::{forget, keep, kept};
use crate::workspace::{Home, Workspace, WorkspaceError};

/// Temperatures looked at: e^±3.
const RANGE: f64 = 3.0;
/// Energies that are kept, evenly among all.
const QUANTILES: usize = 1000;

/// What answers of one version of a model are corrected by. `Debug` shows numbers of images only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The version whose answers it was made from.
    pub version: u64,
    /// Images it was made from.
    pub images: u64,
    /// Logits are divided by it before they become probabilities: Guo et al., *On Calibration of
    /// Modern Neural Networks* (2017).
    pub temperature: f64,
    /// Increasing: ln Σ exp of the logits of the images, which is smaller the less of anything
    /// known a network sees (Liu et al., *Energy-based Out-of-distribution Detection*, 2020).
    energies: Vec<f32>,
}

impl Calibration {
    /// Fewest images that say anything.
    pub const FEWEST: usize = 50;

    /// The temperature that makes the right classes likeliest, and the energies; `None` for fewer
    /// than [`FEWEST`](Self::FEWEST) images.
    pub fn new(version: u64, labels: &[u8], predictions: &[Prediction]) -> Option<Self> {
        let images = predictions.len().min(labels.len());
        if images < Self::FEWEST {
            return None;
        }
        let loss = |log: f64| -> f64 {
            let answers = predictions.iter().zip(labels);
            answers.map(|(answer, &label)| surprise(&answer.logits, label, log.exp())).sum()
        };
        // The loss is convex in 1/T, so it has one minimum in ln T.
        let (mut low, mut high) = (-RANGE, RANGE);
        while high - low > 1e-3 {
            let third = (high - low) / 3.0;
            if loss(low + third) < loss(high - third) { high -= third } else { low += third }
        }
        let mut all: Vec<f32> = predictions.iter().map(|answer| energy(&answer.logits)).collect();
        all.sort_by(f32::total_cmp);
        let kept = QUANTILES.min(all.len() - 1);
        let energies = (0..=kept).map(|at| all[at * (all.len() - 1) / kept]).collect();
        let temperature = f64::midpoint(low, high).exp();
        Some(Self { version, images: images as u64, temperature, energies })
    }

    /// The answer with calibrated probabilities; its class stays.
    pub fn calibrated(&self, prediction: &Prediction) -> Prediction {
        let scale = |logit: &f32| (f64::from(*logit) / self.temperature) as f32;
        let scaled = Prediction::new(prediction.logits.iter().map(scale).collect());
        let (class, logits) = (prediction.class, prediction.logits.clone());
        Prediction { class, probabilities: scaled.probabilities, logits }
    }

    /// Share of the images it was made from that look more like something known than this one.
    pub fn unlike(&self, prediction: &Prediction) -> f32 {
        let energy = energy(&prediction.logits);
        let less = self.energies.partition_point(|known| *known < energy);
        (self.energies.len() - less) as f32 / self.energies.len().max(1) as f32
    }
}

/// −ln of the probability of the right class.
fn surprise(logits: &[f32], label: u8, temperature: f64) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |logit: f32| f64::from(logit - largest) / temperature;
    let sum: f64 = logits.iter().map(|&logit| above(logit).exp()).sum();
    let right = logits.get(usize::from(label)).copied().unwrap_or(f32::NEG_INFINITY);
    sum.ln() - above(right)
}

/// ln Σ exp of the logits.
fn energy(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

impl std::fmt::Debug for Calibration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Calibration(version {}, {} images)", self.version, self.images)
    }
}

impl Home {
    fn calibration_path(&self, tenant: &TenantId, model: &ModelId) -> PathBuf {
        let directory = self.root_directory().join("calibrations").join(tenant.as_str());
        directory.join(format!("{model}.json"))
    }

    /// Forgets the calibration of a model that is gone.
    pub(super) fn forget_calibration(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<(), WorkspaceError> {
        forget(&self.calibration_path(tenant, model))
    }
}

impl Workspace {
    /// Keeps a calibration, in the place of an earlier one of the model.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn keep_calibration(
        &self,
        model: &ModelId,
        calibration: &Calibration,
    ) -> Result<(), WorkspaceError> {
        let bytes = serde_json::to_vec(calibration).unwrap_or_default();
        keep(&self.home.calibration_path(&self.tenant, model), &bytes)
    }

    /// The calibration of a model, of whichever version it is, if there is one.
    ///
    /// # Errors
    /// [`WorkspaceError::File`], also for one that cannot be understood.
    pub fn calibration(&self, model: &ModelId) -> Result<Option<Calibration>, WorkspaceError> {
        kept(&self.home.calibration_path(&self.tenant, model))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// Answers that are `too_sure` times as sure as they should be.
    fn answers(count: usize, too_sure: f32) -> (Vec<u8>, Vec<Prediction>) {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let answer = |_| {
            let logits: Vec<f32> = (0..4).map(|_| rng.random_range(-3.0f32..3.0)).collect();
            let mut at = rng.random_range(0.0f32..1.0);
            let honest = Prediction::new(logits.clone());
            let drawn = honest.probabilities.iter().position(|share| {
                at -= share;
                at < 0.0
            });
            let logits = logits.iter().map(|logit| logit * too_sure).collect();
            (drawn.unwrap_or(3) as u8, Prediction::new(logits))
        };
        (0..count).map(answer).unzip()
    }

    #[test]
    fn the_temperature_undoes_what_made_answers_too_sure() {
        for too_sure in [0.5, 1.0, 2.5] {
            let (labels, predictions) = answers(20_000, too_sure);
            let calibration = Calibration::new(7, &labels, &predictions).unwrap();
            let ratio = calibration.temperature / f64::from(too_sure);
            assert!((0.95..1.05).contains(&ratio), "{ratio} for {too_sure}");
            let one = calibration.calibrated(&predictions[0]);
            assert_eq!(one.class, predictions[0].class);
            assert!((one.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn what_is_like_nothing_known_stands_out() {
        let (labels, predictions) = answers(5_000, 1.0);
        let calibration = Calibration::new(7, &labels, &predictions).unwrap();
        assert_eq!(calibration.energies.len(), QUANTILES + 1);
        assert_eq!(calibration.unlike(&Prediction::new(vec![-9.0; 4])), 1.0);
        assert_eq!(calibration.unlike(&Prediction::new(vec![9.0; 4])), 0.0);
        let mean = predictions.iter().map(|one| calibration.unlike(one)).sum::<f32>() / 5e3;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn too_few_images_say_nothing_and_debug_shows_none() {
        let (labels, predictions) = answers(Calibration::FEWEST, 1.0);
        assert!(Calibration::new(1, &labels[1..], &predictions[1..]).is_none());
        let calibration = Calibration::new(1, &labels, &predictions).unwrap();
        assert_eq!(format!("{calibration:?}"), "Calibration(version 1, 50 images)");
        let text = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
    }
}
