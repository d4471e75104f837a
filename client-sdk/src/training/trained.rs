//! The parameters of a training and how a step changes them: weights as the server has them, biases
//! and their half of the rule at home.

use sphinx_linalg::BIAS_GRID_LOG2;
use sphinx_optimizer::{RuleState, StepRates, TrainingRule};
use sphinx_wire::state::WeightState;

use crate::error::{ClientError, TrainingError};
use crate::training::evaluator::Update;

/// Everything that a step changes.
#[derive(Clone)]
pub(crate) struct Trained {
    pub weights: WeightState,
    /// By stage, multiples of 2^-16 within the network's bound.
    pub biases: Vec<Vec<f32>>,
    /// Of the biases; its averages are those of the committed ones.
    pub rule: RuleState,
    /// Largest bias on the grid within the bound.
    largest_bias: f32,
}

impl Trained {
    /// Parameters of a training by a rule whose state they have on both sides.
    pub fn new(
        weights: WeightState,
        biases: Vec<Vec<f32>>,
        rule: RuleState,
        bias_bound: f32,
    ) -> Self {
        Self { weights, biases, rule, largest_bias: largest_on_grid(bias_bound) }
    }

    /// Parameters at the beginning of their first training.
    pub fn fresh(
        weights: Vec<Vec<f32>>,
        biases: Vec<Vec<f32>>,
        rule: TrainingRule,
        bias_bound: f32,
    ) -> Result<Self, ClientError> {
        let weights = WeightState { weights, rule: None }.opened(rule, false)?;
        let rule = RuleState::new(rule, &biases)?;
        Ok(Self::new(weights, biases, rule, bias_bound))
    }

    /// What step `step` of the training multiplies with.
    pub fn rates(&self, step: u64) -> StepRates {
        self.rule.rates(step)
    }

    /// Makes the step, or adopts the averages.
    ///
    /// # Errors
    /// [`TrainingError::Optimizer`] for a gradient that does not fit or diverges,
    /// [`TrainingError::NoAverage`]; the parameters are of no use then.
    pub fn advance(&mut self, rates: &StepRates, update: &Update) -> Result<(), ClientError> {
        if update.adopts_average {
            self.weights.adopt().map_err(|_| TrainingError::NoAverage)?;
            let averages = self.rule.averages().ok_or(TrainingError::NoAverage)?;
            for (biases, average) in self.biases.iter_mut().zip(averages) {
                *biases = self::placed(&average.average, self.largest_bias);
            }
            return Ok(());
        }
        self.weights.step(rates, &update.gradient)?;
        let mut next = self.biases.clone();
        self.rule.descend(rates, &mut next, &update.bias_gradient)?;
        self.biases = next.iter().map(|biases| placed(biases, self.largest_bias)).collect();
        self.rule.take_in(&self.biases)?;
        Ok(())
    }
}

/// The nearest biases on the grid that a bound on the grid allows.
fn placed(biases: &[f32], bound: f32) -> Vec<f32> {
    biases.iter().map(|bias| on_grid(bias.clamp(-bound, bound))).collect()
}

/// The nearest multiple of the biases' grid.
fn on_grid(bias: f32) -> f32 {
    let steps_per_unit = f64::from(BIAS_GRID_LOG2).exp2();
    ((f64::from(bias) * steps_per_unit).round() / steps_per_unit) as f32
}

/// The largest multiple of the biases' grid that does not exceed a bound.
fn largest_on_grid(bound: f32) -> f32 {
    let steps_per_unit = f64::from(BIAS_GRID_LOG2).exp2();
    ((f64::from(bound) * steps_per_unit).floor() / steps_per_unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_stay_within_their_bound_and_on_their_grid() {
        for bound in [0.1, 0.3, 1e-6, 4.0] {
            let largest = largest_on_grid(bound);
            let placed = placed(&[5.0, -5.0, 0.5 * bound], largest);
            assert!(placed.iter().all(|bias| bias.abs() <= bound), "{bound}: {placed:?}");
            assert!(bound - largest < 1.0 / 65_536.0 && placed[..2] == [largest, -largest]);
            assert!(placed.iter().all(|bias| (bias * 65_536.0).fract() == 0.0), "{placed:?}");
        }
    }
}
