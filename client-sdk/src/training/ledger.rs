//! The budget of one model, spent step by step.

use std::path::Path;

use sphinx_privacy::ledger::{
    Binding, Charge, Digest, Entry, Ledger, LedgerError, Pins, PrivacyUnit,
};
use sphinx_privacy::{Delta, Epsilon, PrivacyPlan, Target};
use sphinx_proto::{KeyId, SessionId};

use crate::error::{ClientError, TrainingError};
use crate::training::evaluator::Update;
use crate::training::options::Privacy;
use crate::training::sealed::Sealed;

/// A model's ledger together with what this training charges to it.
#[derive(Debug)]
pub struct ModelLedger {
    ledger: Ledger,
    delta: Delta,
    charge: Charge,
    target: Option<Target>,
    /// Charged steps that are reserved with the data set.
    reserved: u64,
}

/// A commit that was recorded but not confirmed.
pub(crate) struct Unconfirmed {
    pub session_id: SessionId,
    /// Step within that session.
    pub step: u64,
    /// Version it was computed on.
    pub base_version: u64,
    pub sealed: Sealed,
}

impl ModelLedger {
    /// Starts the ledger of a model that was just created.
    ///
    /// # Errors
    /// [`crate::TrainingError::Ledger`] if there is one already or the file cannot be written.
    pub fn create(
        path: &Path,
        model: &str,
        examples: usize,
        delta: Delta,
    ) -> Result<(), ClientError> {
        Self::create_for(path, model, (PrivacyUnit::Example, examples), delta)
    }

    /// The same for any unit of privacy, of which there are `units`.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_for(
        path: &Path,
        model: &str,
        units: (PrivacyUnit, usize),
        delta: Delta,
    ) -> Result<(), ClientError> {
        Ledger::create(path, &binding(model, units, delta))?;
        Ok(())
    }

    /// Opens a model's ledger to train it further under `privacy`.
    ///
    /// # Errors
    /// [`crate::TrainingError::Ledger`] if it is missing, damaged, another model's, or for a data
    /// set of another size (with `grown`, of a larger one): then the model must not be trained.
    /// [`crate::TrainingError::OtherDelta`] if the target is stated at another δ.
    pub(crate) fn open(
        path: &Path,
        model: &str,
        (units, grown): ((PrivacyUnit, usize), bool),
        delta: Delta,
        privacy: Privacy,
        plan: Option<&PrivacyPlan>,
    ) -> Result<Self, ClientError> {
        if let Privacy::Budget { target, .. } | Privacy::ExactBiases { target, .. } = privacy
            && target.delta() != delta
        {
            let (ledger, target) = (delta.get(), target.delta().get());
            return Err(TrainingError::OtherDelta { ledger, target }.into());
        }
        let binding = binding(model, units, delta);
        // Whether the same examples are among them says the ledger of data sets.
        let ledger =
            if grown { Ledger::open_grown(path, &binding)? } else { Ledger::open(path, &binding)? };
        let ledger = settled(ledger)?;
        let (charge, target) = match (privacy, plan) {
            (Privacy::Budget { target, clipping_norm }, Some(plan)) => {
                (Charge::gaussian(&plan.segment, f64::from(clipping_norm)), Some(target))
            }
            (Privacy::Budget { .. } | Privacy::ExactBiases { .. } | Privacy::None, _) => {
                (Charge::Unproven, None)
            }
        };
        Ok(Self { ledger, delta, charge, target, reserved: u64::MAX })
    }

    /// A ledger to which nothing is charged.
    pub(crate) fn of(ledger: Ledger) -> Result<Self, ClientError> {
        let delta = ledger.binding().delta;
        let (charge, target) = (Charge::PostProcessing, None);
        Ok(Self { ledger: settled(ledger)?, delta, charge, target, reserved: u64::MAX })
    }

    /// Notes that the model has another key: the version after `base_version`, already stored, has
    /// the same weights and was made by no step.
    pub(crate) fn note_rotation(
        &mut self,
        key: &KeyId,
        base_version: u64,
        chain: [u8; 32],
    ) -> Result<(), ClientError> {
        let entry = Entry {
            session: format!("{ROTATION}{key}"),
            step: base_version,
            charge: Charge::PostProcessing,
            chain: Some(Digest(chain)),
        };
        self.ledger.reserve(&entry, None, &chain)?;
        Ok(self.ledger.confirm(base_version)?)
    }

    /// The commit to be repeated, if one was not confirmed.
    pub(crate) fn unconfirmed(&self) -> Result<Option<Unconfirmed>, ClientError> {
        let Some(pending) = self.ledger.pending() else { return Ok(None) };
        let (session_id, step) = parse_session(&pending.entry.session)?;
        let (base_version, sealed) = (pending.entry.step, Sealed::read(pending.bytes.clone())?);
        Ok(Some(Unconfirmed { session_id, step, base_version, sealed }))
    }

    /// What each step charges.
    pub(crate) fn charge(&self) -> Charge {
        self.charge
    }

    /// Allows no more charged steps than these from now on.
    pub(crate) fn limit(&mut self, steps: u64) {
        self.reserved = steps;
    }

    /// The ledger itself.
    pub(crate) fn as_ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records a step durably; only then may its bytes leave. `false` if the budget does not allow
    /// it, or more was not reserved with the data set. The adoption of an average spends nothing.
    pub(crate) fn reserve(
        &mut self,
        session_id: SessionId,
        step: u64,
        base_version: u64,
        update: &Update,
        sealed: &Sealed,
    ) -> Result<bool, ClientError> {
        let session = format_session(session_id, step);
        let (charge, target) = if update.adopts_average {
            (Charge::PostProcessing, None)
        } else {
            (self.charge, self.target)
        };
        let charged = charge != Charge::PostProcessing;
        if charged && self.reserved == 0 {
            return Ok(false);
        }
        let chain = Digest::try_from(sealed.chain()).ok();
        let entry = Entry { session, step: base_version, charge, chain };
        match self.ledger.reserve(&entry, target, sealed.bytes()) {
            Ok(_) => {
                self.reserved -= u64::from(charged);
                Ok(true)
            }
            Err(LedgerError::BudgetExhausted { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that the step computed on `base_version` is committed.
    pub(crate) fn confirm(&mut self, base_version: u64) -> Result<(), ClientError> {
        Ok(self.ledger.confirm(base_version)?)
    }

    /// Gives up the update made for `base_version`, which can never be committed because of
    /// `cause`, and says so.
    pub(crate) fn abandon(&mut self, base_version: u64, cause: ClientError) -> ClientError {
        match self.ledger.abandon(base_version) {
            Ok(()) => ClientError::UpdateAbandoned { base: base_version, cause: Box::new(cause) },
            Err(error) => error.into(),
        }
    }

    /// Refuses a model that is elsewhere than the ledger: one of the two was rolled back, or the
    /// model replaced.
    pub(crate) fn check_version(&self, server: u64, chain: [u8; 32]) -> Result<(), ClientError> {
        Ok(self.ledger.check_model(server, Digest(chain))?)
    }

    /// Refuses a version that is another than the one recorded, whatever is pending.
    pub(crate) fn check_chain(&self, server: u64, chain: [u8; 32]) -> Result<(), ClientError> {
        Ok(self.ledger.check_chain(server, Digest(chain))?)
    }

    /// Notes which model the ledger is of, once: later ones must be the same.
    ///
    /// # Errors
    /// [`crate::TrainingError::Ledger`] for another model than the one noted before.
    pub(crate) fn pin(&mut self, pins: &Pins) -> Result<(), ClientError> {
        Ok(self.ledger.pin(pins)?)
    }

    /// Steps that the budget still allows.
    pub(crate) fn remaining(&self, plan: Option<&PrivacyPlan>) -> Result<u64, ClientError> {
        let left = match (plan, self.target) {
            (Some(plan), Some(target)) => self.ledger.remaining(&plan.segment, target)?,
            (Some(_) | None, _) => u64::MAX,
        };
        Ok(left.min(self.reserved))
    }

    /// ε spent so far, `None` if some step left no guarantee.
    pub fn spent(&self) -> Option<Epsilon> {
        self.ledger.spent(self.delta).ok()
    }
}

fn binding(model: &str, (unit, units): (PrivacyUnit, usize), delta: Delta) -> Binding {
    Binding { model: model.to_owned(), examples: units as u64, delta, unit }
}

/// In the place of a session: the model got another key.
const ROTATION: &str = "key ";

/// With the note of a rotation confirmed, which a crash left open: it is written after the fact.
fn settled(mut ledger: Ledger) -> Result<Ledger, ClientError> {
    let rotation = |entry: &Entry| entry.session.starts_with(ROTATION).then_some(entry.step);
    if let Some(step) = ledger.pending().and_then(|pending| rotation(&pending.entry)) {
        ledger.confirm(step)?;
    }
    Ok(ledger)
}

/// Session and step within it, as the ledger keeps them.
fn format_session(SessionId(id): SessionId, step: u64) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}/{step}")
}

fn parse_session(text: &str) -> Result<(SessionId, u64), ClientError> {
    let parsed = || {
        let (hex, step) = text.split_once('/')?;
        let id = u128::from_str_radix(hex, 16).ok()?;
        Some((SessionId(id.to_be_bytes()), step.parse().ok()?))
    };
    parsed().ok_or_else(|| TrainingError::LedgerSession { got: text.to_owned() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_survive_the_ledger() {
        let id = SessionId(std::array::from_fn(|index| index as u8));
        assert_eq!(parse_session(&format_session(id, 42)).unwrap(), (id, 42));
        assert!(parse_session("not a session").is_err());
    }
}
