//! Learning rates as functions of the step.

use serde::{Deserialize, Serialize};

use crate::error::{OptimizerError, require};

/// How the learning rate falls after the warm-up. `floor` is a fraction of the peak, reached at the
/// end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// It does not.
    Constant,
    /// Along a line.
    Linear {
        /// Last rate over the peak, in [0, 1].
        floor: f32,
    },
    /// Along half a cosine wave (Loshchilov & Hutter 2017, without restarts).
    Cosine {
        /// Last rate over the peak, in [0, 1].
        floor: f32,
    },
}

/// Warm-up along a line to the peak, then decay until the last step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Largest learning rate.
    pub peak: f32,
    /// What follows the warm-up.
    pub decay: Decay,
    /// Steps until the peak; 0 starts at it.
    pub warmup: u64,
    /// Steps of the whole training.
    pub total: u64,
}

impl Schedule {
    /// # Errors
    /// [`OptimizerError::Parameter`] for a peak that is not finite and positive or a floor outside
    /// [0, 1], [`OptimizerError::Warmup`] for a warm-up that leaves no steps.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let positive = self.peak.is_finite() && self.peak > 0.0;
        require(positive, "learning rate", self.peak, "(0, infinity)")?;
        if let Decay::Linear { floor } | Decay::Cosine { floor } = self.decay {
            require((0.0..=1.0).contains(&floor), "floor", floor, "[0, 1]")?;
        }
        if self.warmup >= self.total {
            return Err(OptimizerError::Warmup { warmup: self.warmup, total: self.total });
        }
        Ok(())
    }

    /// The rate of a step, counted from 0. Warm-up takes peak/warmup, 2·peak/warmup, …; the first
    /// step after it has the peak, step `total` and all later ones the floor.
    pub fn rate(&self, step: u64) -> f32 {
        let peak = f64::from(self.peak);
        if step < self.warmup {
            return (peak * (step + 1) as f64 / self.warmup as f64) as f32;
        }
        let length = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = ((step - self.warmup) as f64 / length).min(1.0);
        let fraction = |left: f64, floor: f32| f64::from(floor) + (1.0 - f64::from(floor)) * left;
        let factor = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear { floor } => fraction(1.0 - progress, floor),
            Decay::Cosine { floor } => {
                fraction(0.5 * (1.0 + (std::f64::consts::PI * progress).cos()), floor)
            }
        };
        (peak * factor) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { peak: 2.0, decay, warmup: 4, total: 12 }
    }

    fn rates(decay: Decay, steps: &[u64]) -> Vec<f32> {
        steps.iter().map(|&step| schedule(decay).rate(step)).collect()
    }

    #[test]
    fn rates_follow_their_curves() {
        let steps = [0, 1, 3, 4, 8, 12, 99];
        assert_eq!(rates(Decay::Constant, &steps), [0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let linear = rates(Decay::Linear { floor: 0.0 }, &steps);
        assert_eq!(linear, [0.5, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0]);
        let cosine = rates(Decay::Cosine { floor: 0.5 }, &steps);
        assert_eq!(cosine, [0.5, 1.0, 2.0, 2.0, 1.5, 1.0, 1.0]);
        // A quarter of the way: (1 + cos π/4) / 2.
        let quarter = schedule(Decay::Cosine { floor: 0.0 }).rate(6);
        assert!((quarter - 1.707_106_8).abs() < 1e-6, "{quarter}");
    }

    #[test]
    fn starts_at_the_peak_without_warmup() {
        let schedule = Schedule { warmup: 0, ..schedule(Decay::Linear { floor: 0.0 }) };
        assert_eq!(schedule.rate(0), 2.0);
        assert_eq!(schedule.validate(), Ok(()));
    }

    #[test]
    fn rejects_nonsensical_schedules() {
        let base = schedule(Decay::Constant);
        for peak in [0.0, -1.0, f32::INFINITY] {
            let error = Schedule { peak, ..base }.validate().unwrap_err();
            assert!(matches!(error, OptimizerError::Parameter { parameter: "learning rate", .. }));
        }
        assert!(Schedule { peak: f32::NAN, ..base }.validate().is_err());
        let error = schedule(Decay::Cosine { floor: 1.5 }).validate().unwrap_err();
        assert!(matches!(error, OptimizerError::Parameter { parameter: "floor", got: 1.5, .. }));
        let error = Schedule { warmup: 12, ..base }.validate();
        assert_eq!(error, Err(OptimizerError::Warmup { warmup: 12, total: 12 }));
        let error = Schedule { warmup: 0, total: 0, ..base }.validate();
        assert_eq!(error, Err(OptimizerError::Warmup { warmup: 0, total: 0 }));
    }
}
