//! The privacy loss of one step: (1 − q) N(0, σ²) + q N(1, σ²) against N(0, σ²).

use crate::log_space;
use crate::mechanism::MIN_SCALE;
use crate::quantity::{NoiseMultiplier, SamplingRate};

/// Largest part of the noise's variance that rounds a continuous Gaussian to the discrete one: r² /
/// s² with r = 1.9.
const ROUNDING_VARIANCE: f64 = (1.9 / MIN_SCALE) * (1.9 / MIN_SCALE);

/// Repetitions of one Poisson-subsampled Gaussian mechanism.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Repeated {
    /// q.
    pub rate: f64,
    /// σ of the continuous Gaussian inside the discrete one.
    pub sigma: f64,
    /// How often its loss is added up.
    pub times: u64,
    /// How many steps of training that accounts for.
    pub steps: u64,
}

impl Repeated {
    /// Steps with the noise that the mechanism adds. Without sampling, T steps of multiplier σ are
    /// one of σ/√T: their losses are Gaussian, and the variances add up.
    pub fn new(rate: SamplingRate, noise: NoiseMultiplier, steps: u64) -> Self {
        let sigma = noise.get() * (1.0 - ROUNDING_VARIANCE).sqrt();
        if rate.get() == 1.0 {
            Self { rate: 1.0, sigma: sigma / (steps as f64).sqrt(), times: 1, steps }
        } else {
            Self { rate: rate.get(), sigma, times: steps, steps }
        }
    }

    /// z = (2x − 1) / 2σ²: the loss at an output x if the example was certainly sampled.
    pub fn full_loss(&self, x: f64) -> f64 {
        (2.0 * x - 1.0) / (2.0 * self.sigma * self.sigma)
    }

    /// The output x at which the full loss is z.
    pub fn output(&self, z: f64) -> f64 {
        self.sigma * self.sigma * z + 0.5
    }

    /// The least loss: ln(1 − q); 0, which stands for none, where q = 1.
    pub fn base(&self) -> f64 {
        if self.rate == 1.0 { 0.0 } else { (-self.rate).ln_1p() }
    }

    /// How far the loss ln(1 − q + q·e^z) at an output x lies above [`Self::base`].
    pub fn excess(&self, x: f64) -> f64 {
        let z = self.full_loss(x);
        if self.rate == 1.0 { z } else { log_space::one_plus_exp(z - self.log_odds()) }
    }

    /// The full loss z at which the loss is `excess` above the base; −∞ at the base itself.
    pub fn full_loss_of(&self, excess: f64) -> f64 {
        if self.rate == 1.0 {
            excess
        } else if excess == 0.0 {
            f64::NEG_INFINITY
        } else {
            self.log_odds() + log_space::exp_minus_one(excess)
        }
    }

    /// The outputs beyond which the mixture and N(0, σ²) each have at most e^(−reach²/2) / 2 on
    /// either side.
    pub fn range(&self, reach: f64) -> (f64, f64) {
        (-reach * self.sigma, 1.0 + reach * self.sigma)
    }

    /// ln((1 − q) / q).
    fn log_odds(&self) -> f64 {
        (-self.rate).ln_1p() - self.rate.ln()
    }
}
