//! The quantities of differential privacy as types: holding one means that its range was checked.

use serde::{Deserialize, Serialize};

/// A number that cannot be what it was offered as.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum QuantityError {
    /// Sampling rate outside (0, 1], or not a number.
    #[error("sampling rate {got} is not in (0, 1]: give expected batch size / number of examples")]
    SamplingRate {
        /// The rate offered.
        got: f64,
    },
    /// Noise multiplier of zero: the mechanism releases its input, ε is infinite.
    #[error("noise multiplier 0 adds no noise, so epsilon is infinite: give a positive multiplier")]
    NoNoise,
    /// Noise multiplier negative, infinite or not a number.
    #[error("noise multiplier {got} is not a finite positive number")]
    NoiseMultiplier {
        /// The multiplier offered.
        got: f64,
    },
    /// δ outside (0, 1), or not a number.
    #[error("delta {got} is not in (0, 1): the usual choice is below 1 / number of examples")]
    Delta {
        /// The δ offered.
        got: f64,
    },
    /// ε not a finite positive number.
    #[error("epsilon {got} is not a finite positive number")]
    Epsilon {
        /// The ε offered.
        got: f64,
    },
}

/// Probability q ∈ (0, 1] with which each example enters a batch, independently of the others.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct SamplingRate(f64);

impl SamplingRate {
    /// # Errors
    /// [`QuantityError::SamplingRate`] unless 0 < q ≤ 1.
    pub fn new(q: f64) -> Result<Self, QuantityError> {
        if q > 0.0 && q <= 1.0 { Ok(Self(q)) } else { Err(QuantityError::SamplingRate { got: q }) }
    }

    /// The probability.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Noise multiplier σ: standard deviation of the noise over the L2 sensitivity of the sum.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NoiseMultiplier(f64);

impl NoiseMultiplier {
    /// # Errors
    /// [`QuantityError::NoNoise`] for σ = 0, [`QuantityError::NoiseMultiplier`] unless σ is finite
    /// and positive.
    pub fn new(sigma: f64) -> Result<Self, QuantityError> {
        if sigma == 0.0 {
            Err(QuantityError::NoNoise)
        } else if sigma.is_finite() && sigma > 0.0 {
            Ok(Self(sigma))
        } else {
            Err(QuantityError::NoiseMultiplier { got: sigma })
        }
    }

    /// The multiplier.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// δ of (ε, δ)-differential privacy, in (0, 1).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Delta(f64);

impl Delta {
    /// # Errors
    /// [`QuantityError::Delta`] unless 0 < δ < 1.
    pub fn new(delta: f64) -> Result<Self, QuantityError> {
        if delta > 0.0 && delta < 1.0 {
            Ok(Self(delta))
        } else {
            Err(QuantityError::Delta { got: delta })
        }
    }

    /// The probability.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// An (ε, δ) not to be exceeded by the proven ε ([`Epsilon::proven`](crate::Epsilon::proven)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Target {
    epsilon: f64,
    delta: Delta,
}

impl Target {
    /// # Errors
    /// [`QuantityError::Epsilon`] unless ε is finite and positive.
    pub fn new(epsilon: f64, delta: Delta) -> Result<Self, QuantityError> {
        if epsilon.is_finite() && epsilon > 0.0 {
            Ok(Self { epsilon, delta })
        } else {
            Err(QuantityError::Epsilon { got: epsilon })
        }
    }

    /// The ε not to be exceeded.
    pub fn epsilon(self) -> f64 {
        self.epsilon
    }

    /// The δ it is stated for.
    pub fn delta(self) -> Delta {
        self.delta
    }
}

// Stored as plain numbers, checked again when read.

impl TryFrom<f64> for SamplingRate {
    type Error = QuantityError;

    fn try_from(rate: f64) -> Result<Self, QuantityError> {
        Self::new(rate)
    }
}

impl From<SamplingRate> for f64 {
    fn from(rate: SamplingRate) -> f64 {
        rate.0
    }
}

impl TryFrom<f64> for NoiseMultiplier {
    type Error = QuantityError;

    fn try_from(sigma: f64) -> Result<Self, QuantityError> {
        Self::new(sigma)
    }
}

impl From<NoiseMultiplier> for f64 {
    fn from(sigma: NoiseMultiplier) -> f64 {
        sigma.0
    }
}

impl TryFrom<f64> for Delta {
    type Error = QuantityError;

    fn try_from(delta: f64) -> Result<Self, QuantityError> {
        Self::new(delta)
    }
}

impl From<Delta> for f64 {
    fn from(delta: Delta) -> f64 {
        delta.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_numbers_out_of_range() {
        for q in [0.0, -0.1, 1.0 + 1e-12, f64::INFINITY] {
            assert_eq!(SamplingRate::new(q), Err(QuantityError::SamplingRate { got: q }));
        }
        for sigma in [-1.0, f64::INFINITY] {
            assert_eq!(
                NoiseMultiplier::new(sigma),
                Err(QuantityError::NoiseMultiplier { got: sigma })
            );
        }
        for delta in [0.0, 1.0, -1e-5, 2.0] {
            assert_eq!(Delta::new(delta), Err(QuantityError::Delta { got: delta }));
        }
        let delta = Delta::new(1e-5).unwrap();
        for epsilon in [0.0, -2.0, f64::INFINITY] {
            assert_eq!(Target::new(epsilon, delta), Err(QuantityError::Epsilon { got: epsilon }));
        }
    }

    #[test]
    fn rejects_nan() {
        assert!(matches!(SamplingRate::new(f64::NAN), Err(QuantityError::SamplingRate { .. })));
        assert!(matches!(
            NoiseMultiplier::new(f64::NAN),
            Err(QuantityError::NoiseMultiplier { .. })
        ));
        assert!(matches!(Delta::new(f64::NAN), Err(QuantityError::Delta { .. })));
    }

    #[test]
    fn rejects_zero_noise_as_infinite_epsilon() {
        assert_eq!(NoiseMultiplier::new(0.0), Err(QuantityError::NoNoise));
    }

    #[test]
    fn rejects_out_of_range_numbers_in_stored_form() {
        assert!(serde_json::from_str::<SamplingRate>("1.5").is_err());
        assert!(serde_json::from_str::<NoiseMultiplier>("0.0").is_err());
        assert_eq!(serde_json::from_str::<Delta>("1e-5").unwrap().get(), 1e-5);
    }
}
