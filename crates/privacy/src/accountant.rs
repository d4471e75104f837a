//! Composition of steps, and the ε it amounts to.

use serde::{Deserialize, Serialize};

use crate::quantity::{Delta, Epsilon, NoiseMultiplier, SamplingRate, Target};
use crate::renyi::RenyiCurve;

/// More steps than any training makes; beyond, a search for a number of steps stops.
const MAX_STEPS: u64 = 1 << 40;

/// Why no ε can be stated.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AccountingError {
    /// A segment of no steps, or of more than 2⁴⁰.
    #[error("{got} steps cannot be accounted: give 1 to {MAX_STEPS}")]
    Steps {
        /// The number offered.
        got: u64,
    },
    /// The probability of an overflow per step is no probability.
    #[error("overflow probability {got} per step is not in [0, 1]")]
    OverflowProbability {
        /// The number offered.
        got: f64,
    },
    /// The probability that some batch overflowed its blocks takes all of δ.
    #[error(
        "batches overflow their blocks with probability {overflow:e} over all steps, which leaves \
         nothing of delta = {delta:e}: lower the expected batch size"
    )]
    DeltaExhausted {
        /// δ asked for.
        delta: f64,
        /// Probability of an overflow over all steps (union bound).
        overflow: f64,
    },
    /// Some steps were made without the mechanism: no ε is proven for the composition.
    #[error(
        "no epsilon is proven: {steps} steps were made without noise on every gradient, so one example may change \
         all later ones beyond what clipping bounds"
    )]
    NoneProven {
        /// How many.
        steps: u64,
    },
    /// ε is larger than the largest number that can be written.
    #[error(
        "epsilon is larger than any number: with so little noise there is no privacy; give a larger \
         noise multiplier"
    )]
    Infinite,
}

/// Steps of one Poisson-subsampled Gaussian mechanism with fixed parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Probability of each example to enter a batch.
    pub sampling_rate: SamplingRate,
    /// Standard deviation of the noise over the sensitivity.
    pub noise_multiplier: NoiseMultiplier,
    /// Number of steps.
    pub steps: u64,
    /// Bound on the probability per step that the batch overflows its blocks
    /// ([`overflow_probability`](crate::overflow_probability)); 0 where nothing is ever dropped.
    pub overflow_probability: f64,
}

/// Adds up what mechanisms spend, whatever their parameters and their order.
///
/// Adaptive composition: each step may depend on all earlier outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Accountant {
    total: RenyiCurve,
    overflow: f64,
    unproven: u64,
    /// The curve of the segment last composed: a training repeats the same one.
    last: Option<(SamplingRate, NoiseMultiplier, RenyiCurve)>,
}

impl Accountant {
    /// An accountant of nothing spent.
    pub fn new() -> Self {
        Self { total: RenyiCurve::zero(), overflow: 0.0, unproven: 0, last: None }
    }

    /// Adds a segment. About a millisecond for new parameters, a microsecond for those of the last call.
    ///
    /// # Errors
    /// [`AccountingError::Steps`], [`AccountingError::OverflowProbability`]; nothing is added then.
    pub fn compose(&mut self, segment: &Segment) -> Result<(), AccountingError> {
        check(segment)?;
        self.remember_curve(segment);
        if let Some((_, _, curve)) = &self.last {
            self.total.add(curve, segment.steps);
        }
        self.overflow += segment.steps as f64 * segment.overflow_probability;
        Ok(())
    }

    /// Adds steps that no guarantee covers; from then on [`epsilon`](Self::epsilon) refuses.
    pub fn compose_unproven(&mut self, steps: u64) {
        self.unproven = self.unproven.saturating_add(steps);
    }

    /// The ε of everything composed, at δ. The probability of an overflow is taken from δ first.
    ///
    /// # Errors
    /// [`AccountingError::NoneProven`], [`AccountingError::DeltaExhausted`], [`AccountingError::Infinite`].
    pub fn epsilon(&self, delta: Delta) -> Result<Epsilon, AccountingError> {
        if self.unproven > 0 {
            return Err(AccountingError::NoneProven { steps: self.unproven });
        }
        let left = Delta::new(delta.get() - self.overflow).map_err(|_| {
            AccountingError::DeltaExhausted { delta: delta.get(), overflow: self.overflow }
        })?;
        let epsilon = self.total.epsilon(left);
        let finite = epsilon.improved.is_finite() && epsilon.classical.is_finite();
        finite.then_some(epsilon).ok_or(AccountingError::Infinite)
    }

    /// The largest number of further steps with `segment`'s parameters (its own `steps` is not
    /// looked at) that keeps the improved ε within the target: 0 once nothing is left.
    ///
    /// # Errors
    /// [`AccountingError::NoneProven`], [`AccountingError::OverflowProbability`].
    pub fn steps_within(&self, segment: &Segment, target: Target) -> Result<u64, AccountingError> {
        if self.unproven > 0 {
            return Err(AccountingError::NoneProven { steps: self.unproven });
        }
        check(&Segment { steps: 1, ..*segment })?;
        let mut base = self.clone();
        base.remember_curve(segment);
        let fits = |steps: u64| {
            let mut trial = base.clone();
            let composed = trial.compose(&Segment { steps, ..*segment });
            let epsilon = composed.and_then(|()| trial.epsilon(target.delta()));
            epsilon.is_ok_and(|epsilon| epsilon.improved <= target.epsilon())
        };
        let (mut low, mut high) = (0, 1);
        while high < MAX_STEPS && fits(high) {
            (low, high) = (high, high * 2);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        Ok(low)
    }

    fn remember_curve(&mut self, segment: &Segment) {
        let (rate, noise) = (segment.sampling_rate, segment.noise_multiplier);
        if !matches!(&self.last, Some((q, sigma, _)) if *q == rate && *sigma == noise) {
            self.last = Some((rate, noise, RenyiCurve::new(rate, noise)));
        }
    }
}

impl Default for Accountant {
    fn default() -> Self {
        Self::new()
    }
}

fn check(segment: &Segment) -> Result<(), AccountingError> {
    if segment.steps == 0 || segment.steps > MAX_STEPS {
        return Err(AccountingError::Steps { got: segment.steps });
    }
    if !(0.0..=1.0).contains(&segment.overflow_probability) {
        return Err(AccountingError::OverflowProbability { got: segment.overflow_probability });
    }
    Ok(())
}
