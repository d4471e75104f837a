//! Exponential moving average of the weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{OptimizerError, require, require_length};

/// Exponential moving average of the weights, to be evaluated in their place: it averages out the
/// noise of the last steps at no cost in privacy.
///
/// The decay warms up as min(decay, (1 + t) / (10 + t)) after t updates, so that early weights are
/// forgotten soon (De et al. 2022, *Unlocking High-Accuracy Differentially Private Image
/// Classification through Scale*).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightAverage {
    /// Decay per step once warm, in [0, 1).
    pub decay: f32,
    /// Updates made.
    pub updates: u64,
    /// The averaged weights.
    pub average: Vec<f32>,
}

/// Without the averaged weights: a client's are biases that nobody else may read.
impl fmt::Debug for WeightAverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decay, updates, average } = self;
        let weights = average.len();
        write!(f, "WeightAverage(decay {decay}, {updates} updates of {weights} weights)")
    }
}

impl WeightAverage {
    /// # Errors
    /// [`OptimizerError::Parameter`] unless the decay is in [0, 1).
    pub fn validate(decay: f32) -> Result<(), OptimizerError> {
        require((0.0..1.0).contains(&decay), "decay of the average", decay, "[0, 1)")
    }

    /// An average that starts at `weights`.
    ///
    /// # Errors
    /// [`OptimizerError::Parameter`] unless the decay is in [0, 1).
    pub fn new(decay: f32, weights: &[f32]) -> Result<Self, OptimizerError> {
        Self::validate(decay)?;
        Ok(Self { decay, updates: 0, average: weights.to_vec() })
    }

    /// An average that goes on from a stored one.
    ///
    /// # Errors
    /// [`OptimizerError::Parameter`] as [`WeightAverage::new`]; [`OptimizerError::Length`] and
    /// [`OptimizerError::NonFiniteState`] for one that is not of so many weights.
    pub fn restore(
        decay: f32,
        updates: u64,
        average: Vec<f32>,
        weights: usize,
    ) -> Result<Self, OptimizerError> {
        Self::validate(decay)?;
        require_length("average", average.len(), weights)?;
        if let Some(index) = average.iter().position(|weight| !weight.is_finite()) {
            return Err(OptimizerError::NonFiniteState { what: "average", index });
        }
        Ok(Self { decay, updates, average })
    }

    /// Takes in the weights after a step.
    ///
    /// # Errors
    /// [`OptimizerError::Length`], [`OptimizerError::NonFiniteState`]; the average is unchanged
    /// then.
    pub fn update(&mut self, weights: &[f32]) -> Result<(), OptimizerError> {
        require_length("weights", weights.len(), self.average.len())?;
        if let Some(index) = weights.iter().position(|weight| !weight.is_finite()) {
            return Err(OptimizerError::NonFiniteState { what: "weights", index });
        }
        let t = self.updates as f64;
        let share = 1.0 - self.decay.min(((1.0 + t) / (10.0 + t)) as f32);
        for (average, weight) in self.average.iter_mut().zip(weights) {
            *average += share * (weight - *average);
        }
        self.updates += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_weights_with_a_decay_that_warms_up() {
        let mut average = WeightAverage::new(0.15, &[0.0]).unwrap();
        average.update(&[1.0]).unwrap(); // decay 1/10
        assert!((average.average[0] - 0.9).abs() < 1e-6);
        average.update(&[2.0]).unwrap(); // decay 0.15, for 2/11 is larger
        assert!((average.average[0] - (0.15 * 0.9 + 0.85 * 2.0)).abs() < 1e-6);
        assert_eq!(average.updates, 2);
    }

    #[test]
    fn constant_weights_are_a_fixed_point() {
        let mut average = WeightAverage::new(0.999, &[0.1, -3.0]).unwrap();
        for _ in 0..1000 {
            average.update(&[0.1, -3.0]).unwrap();
        }
        assert_eq!(average.average, [0.1, -3.0]);
    }

    #[test]
    fn rejects_bad_decays_lengths_and_weights() {
        for got in [1.0, -0.1] {
            let error = WeightAverage::new(got, &[0.0]).unwrap_err();
            let range = "[0, 1)";
            let parameter = "decay of the average";
            assert_eq!(error, OptimizerError::Parameter { parameter, got, range });
        }
        let mut average = WeightAverage::new(0.9, &[0.0, 1.0]).unwrap();
        let before = average.clone();
        let error = average.update(&[0.0]).unwrap_err();
        assert_eq!(error, OptimizerError::Length { what: "weights", got: 1, expected: 2 });
        let error = average.update(&[0.0, f32::NAN]).unwrap_err();
        assert_eq!(error, OptimizerError::NonFiniteState { what: "weights", index: 1 });
        assert_eq!(average, before);
        let error = WeightAverage::restore(0.9, 1, vec![0.0], 2).unwrap_err();
        assert_eq!(error, OptimizerError::Length { what: "average", got: 1, expected: 2 });
        let error = WeightAverage::restore(0.9, 1, vec![f32::INFINITY], 1).unwrap_err();
        assert_eq!(error, OptimizerError::NonFiniteState { what: "average", index: 0 });
    }

    #[test]
    fn the_weights_do_not_show_in_debug_output() {
        let average = WeightAverage::new(0.5, &[0.7171, -3.0]).unwrap();
        assert_eq!(format!("{average:?}"), "WeightAverage(decay 0.5, 0 updates of 2 weights)");
    }

    #[test]
    fn a_restored_average_goes_on_where_it_was() {
        let mut average = WeightAverage::new(0.5, &[0.0]).unwrap();
        average.update(&[1.0]).unwrap();
        let stored = average.clone();
        let mut restored = WeightAverage::restore(0.5, 1, stored.average, 1).unwrap();
        average.update(&[-2.0]).unwrap();
        restored.update(&[-2.0]).unwrap();
        assert_eq!(restored, average);
    }
}
