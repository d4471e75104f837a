//! Comparison with a target.

use super::{Accountant, AccountingError, MAX_STEPS, Segment};
use crate::quantity::Target;
use crate::search::last_within;

impl Accountant {
    /// The largest number of further steps with `segment`'s parameters (its own `steps` is not
    /// looked at) that keeps the proven ε within the target: 0 once nothing is left. They count as
    /// chosen now ([`compose_chosen`](Self::compose_chosen)).
    ///
    /// # Errors
    /// [`AccountingError::NoneProven`], [`AccountingError::OverflowProbability`].
    pub fn steps_within(&self, segment: &Segment, target: Target) -> Result<u64, AccountingError> {
        if self.unproven > 0 {
            return Err(AccountingError::NoneProven { steps: self.unproven });
        }
        let mut one = self.clone();
        one.compose_chosen(&Segment { steps: 1, ..*segment })?;
        let after = |steps: u64| {
            let mut trial = one.clone();
            let more = Segment { steps: steps - 1, ..*segment };
            (steps == 1 || trial.compose(&more).is_ok()).then_some(trial)
        };
        // By Rényi divergences first, which takes no time.
        let fits = |steps| after(steps).is_some_and(|trial| trial.excess_by_renyi(target) <= 0.0);
        let (mut low, mut high) = (0, 1);
        while high < MAX_STEPS && fits(high) {
            (low, high) = (high, high * 2);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        if one.adaptive {
            return Ok(low);
        }
        let excess =
            |steps| after(steps).map_or(f64::INFINITY, |trial| trial.excess_by_loss(target));
        // Then by privacy loss distributions, which allow some more.
        let at_low = if low == 0 { self.excess_by_loss(target) } else { excess(low) };
        if at_low > 0.0 {
            return Ok(low);
        }
        let (mut inside, mut outside) = ((low, at_low), (0, 0.0));
        outside.0 = low + self.steps_of(segment).saturating_add(low) / 64 + 1;
        loop {
            outside.1 = excess(outside.0);
            if outside.1 > 0.0 || outside.0 >= MAX_STEPS {
                break;
            }
            // As far as the secant says, and a little more: ε grows more slowly there.
            let stride = outside.0 - inside.0;
            let needed = -1.05 * outside.1 / (outside.1 - inside.1) * stride as f64;
            inside = outside;
            outside.0 += (needed.ceil() as u64).clamp(1, stride.saturating_mul(8));
        }
        Ok(last_within(inside, outside, excess))
    }

    /// Steps composed with the parameters of `segment`.
    fn steps_of(&self, segment: &Segment) -> u64 {
        let (rate, noise) = (segment.sampling_rate, segment.noise_multiplier);
        let same = self.mechanisms.iter().filter(|(q, sigma, _)| (*q, *sigma) == (rate, noise));
        same.map(|(_, _, steps)| steps).sum()
    }

    /// Whether some parameters were chosen after outputs had been seen.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.adaptive
    }

    /// By how much ε by Rényi divergences exceeds a target; infinite where there is none.
    pub(crate) fn excess_by_renyi(&self, target: Target) -> f64 {
        let epsilon = self.left_of(target.delta()).map(|left| self.total.epsilon(left).improved);
        epsilon.map_or(f64::INFINITY, |epsilon| epsilon - target.epsilon())
    }

    /// The same by privacy loss distributions.
    pub(crate) fn excess_by_loss(&self, target: Target) -> f64 {
        let epsilon = self.epsilon_by_loss(target.delta());
        epsilon.map_or(f64::INFINITY, |epsilon| epsilon - target.epsilon())
    }
}
