//! How many more steps of a kind a target allows, found once: privacy loss distributions take
//! longer than recording a step may.

use super::{Charge, Ledger, LedgerError};
use crate::accountant::Accountant;
use crate::quantity::Target;

/// Steps left after the last record, as long as only such steps follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Allowance {
    charge: Charge,
    target: Target,
    left: u64,
}

impl Ledger {
    /// What is left once a step is recorded, after which the accountant would be `after`; `None`
    /// where that needs not be known, because Rényi divergences are still within the target.
    ///
    /// # Errors
    /// [`LedgerError::BudgetExhausted`] if the target does not allow the step,
    /// [`LedgerError::Accounting`] if nothing is proven after it.
    pub(super) fn allow(
        &self,
        charge: Charge,
        target: Target,
        after: &Accountant,
    ) -> Result<Option<Allowance>, LedgerError> {
        if after.excess_by_renyi(target) <= 0.0 {
            return Ok(None);
        }
        let known = |known: &Allowance| known.charge == charge && known.target == target;
        let left = match (self.allowance.filter(known), charge.segment(1)) {
            (Some(allowance), _) => allowance.left,
            (None, Some(segment)) if !after.is_adaptive() => {
                self.accountant.steps_within(&segment, target)?
            }
            (None, _) => 0,
        };
        if left == 0 {
            let epsilon = after.epsilon(target.delta())?.proven();
            // What spends nothing may be recorded whenever the target is not exceeded without it.
            if epsilon > target.epsilon() {
                let target = target.epsilon();
                return Err(LedgerError::BudgetExhausted { epsilon, target });
            }
        }
        Ok(Some(Allowance { charge, target, left: left.saturating_sub(1) }))
    }
}
