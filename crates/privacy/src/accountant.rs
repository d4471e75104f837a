//! Composition of steps, and the ε it amounts to.

use serde::{Deserialize, Serialize};

use crate::epsilon::Epsilon;
use crate::loss::{self, LossError, Repeated};
use crate::quantity::{Delta, NoiseMultiplier, SamplingRate};
use crate::renyi::RenyiCurve;

mod within;

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
    /// Privacy loss distributions state none.
    #[error(transparent)]
    Loss(#[from] LossError),
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
/// Each step may depend on all earlier outputs. Whether its *parameters* (rate and noise
/// multiplier) may too decides what is proven: privacy loss distributions compose where all are
/// fixed in advance ([`compose`](Self::compose)), Rényi divergences also where they are chosen
/// later ([`compose_chosen`](Self::compose_chosen)).
#[derive(Debug, Clone, PartialEq)]
pub struct Accountant {
    total: RenyiCurve,
    overflow: f64,
    unproven: u64,
    /// The curve of the segment last composed: a training repeats the same one.
    last: Option<(SamplingRate, NoiseMultiplier, RenyiCurve)>,
    /// What was composed, each pair of parameters once.
    mechanisms: Vec<(SamplingRate, NoiseMultiplier, u64)>,
    /// Whether some parameters were chosen after outputs had been seen.
    adaptive: bool,
}

impl Accountant {
    /// An accountant of nothing spent.
    pub fn new() -> Self {
        Self {
            total: RenyiCurve::zero(),
            overflow: 0.0,
            unproven: 0,
            last: None,
            mechanisms: Vec::new(),
            adaptive: false,
        }
    }

    /// Adds a segment whose parameters and number of steps were fixed before anything was released.
    /// About a millisecond for new parameters, a microsecond for those of the last call.
    ///
    /// # Errors
    /// [`AccountingError::Steps`], [`AccountingError::OverflowProbability`]; nothing is added then.
    pub fn compose(&mut self, segment: &Segment) -> Result<(), AccountingError> {
        check(segment)?;
        let &Segment { sampling_rate, noise_multiplier, steps, overflow_probability } = segment;
        self.remember_curve(segment);
        if let Some((_, _, curve)) = &self.last {
            self.total.add(curve, steps);
        }
        self.overflow += steps as f64 * overflow_probability;
        let same = |&&mut (rate, noise, _): &&mut (SamplingRate, NoiseMultiplier, u64)| {
            (rate, noise) == (sampling_rate, noise_multiplier)
        };
        match self.mechanisms.iter_mut().find(same) {
            Some((_, _, times)) => *times = times.saturating_add(steps),
            None => self.mechanisms.push((sampling_rate, noise_multiplier, steps)),
        }
        Ok(())
    }

    /// Adds a segment that may have been chosen after what earlier ones released had been seen: a
    /// further training.
    ///
    /// As long as it repeats the one pair of parameters that there is, nothing is chosen but the
    /// number of steps. Whatever it depends on, a cap on ε that is fixed in advance allows a fixed
    /// number of them, and what is released is a part of what that many release: privacy loss
    /// distributions stay proven. With other parameters they do not, and the bound is that by Rényi
    /// divergences, a privacy filter: they may add up in any adaptive way to the budget of an order
    /// (Feldman & Zrnic, *Individual Privacy Accounting via a Rényi Filter*, 2021).
    ///
    /// # Errors
    /// As [`compose`](Self::compose).
    pub fn compose_chosen(&mut self, segment: &Segment) -> Result<(), AccountingError> {
        self.compose(segment)?;
        self.adaptive |= self.mechanisms.len() > 1;
        Ok(())
    }

    /// Adds steps that no guarantee covers; from then on [`epsilon`](Self::epsilon) refuses.
    pub fn compose_unproven(&mut self, steps: u64) {
        self.unproven = self.unproven.saturating_add(steps);
    }

    /// The ε of everything composed, at δ. The probability of an overflow is taken from δ first.
    /// Takes as long as [`epsilon_by_loss`](Self::epsilon_by_loss).
    ///
    /// # Errors
    /// [`AccountingError::NoneProven`], [`AccountingError::DeltaExhausted`],
    /// [`AccountingError::Infinite`].
    pub fn epsilon(&self, delta: Delta) -> Result<Epsilon, AccountingError> {
        let left = self.left_of(delta)?;
        let renyi = self.total.epsilon(left);
        if !(renyi.improved.is_finite() && renyi.classical.is_finite()) {
            return Err(AccountingError::Infinite);
        }
        let pld = loss::epsilon(&self.repeated(), left).ok();
        let (rdp, classical) = (renyi.improved, renyi.classical);
        Ok(Epsilon { pld, rdp, classical, adaptive: self.adaptive })
    }

    /// The ε of everything composed, at δ, by privacy loss distributions, or why there is none. A
    /// few milliseconds for hundreds of steps, tens for ten thousand.
    ///
    /// # Errors
    /// [`AccountingError::NoneProven`], [`AccountingError::DeltaExhausted`],
    /// [`AccountingError::Loss`].
    pub fn epsilon_by_loss(&self, delta: Delta) -> Result<f64, AccountingError> {
        Ok(loss::epsilon(&self.repeated(), self.left_of(delta)?)?)
    }

    /// What overflows leave of δ.
    fn left_of(&self, delta: Delta) -> Result<Delta, AccountingError> {
        if self.unproven > 0 {
            return Err(AccountingError::NoneProven { steps: self.unproven });
        }
        Delta::new(delta.get() - self.overflow).map_err(|_| AccountingError::DeltaExhausted {
            delta: delta.get(),
            overflow: self.overflow,
        })
    }

    fn repeated(&self) -> Vec<Repeated> {
        let repeated = |&(rate, noise, steps)| Repeated::new(rate, noise, steps);
        self.mechanisms.iter().map(repeated).collect()
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

pub(crate) fn check(segment: &Segment) -> Result<(), AccountingError> {
    if segment.steps == 0 || segment.steps > MAX_STEPS {
        return Err(AccountingError::Steps { got: segment.steps });
    }
    if !(0.0..=1.0).contains(&segment.overflow_probability) {
        return Err(AccountingError::OverflowProbability { got: segment.overflow_probability });
    }
    Ok(())
}
