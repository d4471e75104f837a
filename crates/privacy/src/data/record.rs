//! What the ledger of data sets keeps of sets and of trainings.

use serde::{Deserialize, Serialize};

use crate::accountant::{Accountant, AccountingError, Segment};
use crate::ledger::{Charge, Digest, PrivacyUnit, Run};
use crate::quantity::{NoiseMultiplier, Target};

/// A data set under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataSet {
    pub name: String,
    /// The list of its units; of a set that grew, the newest.
    pub list: u64,
    /// What is not to be exceeded by any of its units.
    pub cap: Option<Target>,
    /// The list of those units that were declared public.
    pub public: Option<u64>,
}

/// The training of one model on one list of units, or what earlier versions of the program had
/// recorded of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Training {
    pub tenant: String,
    pub model: String,
    /// [`Ledger::identity`](crate::ledger::Ledger::identity) of the model's ledger; `None` if it
    /// could not be read yet.
    pub ledger: Option<Digest>,
    /// Whether the model of that name is another by now, or none.
    pub deleted: bool,
    /// The list of units; `None` where only their number is known.
    pub list: Option<u64>,
    /// Number of units.
    pub units: u64,
    pub unit: PrivacyUnit,
    /// What was spent; of a training that has not ended, nothing yet.
    pub runs: Vec<Run>,
    /// A training that has not ended, or whose end was not noted.
    pub open: Option<Open>,
    /// Records of the model's ledger that this and earlier ones account for.
    pub records: u64,
}

/// What a training may spend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    /// At most.
    pub reserved: Run,
    /// Records that the model's ledger had before.
    pub first: u64,
}

impl Training {
    pub fn is_of(&self, tenant: &str, model: &str) -> bool {
        !self.deleted && self.tenant == tenant && self.model == model
    }

    /// What it counts for: all that is reserved, as long as it may be spent.
    pub fn counted(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().copied().chain(self.open.map(|open| open.reserved))
    }

    /// Steps that spent something.
    pub fn steps(&self) -> u64 {
        self.runs.iter().map(|run| run.steps).sum()
    }
}

/// Adds to an accountant what a training spends of a unit that is `times` among its examples.
///
/// The noised sum of a step then moves by up to `times` norms, one per occurrence that is drawn. It
/// is the sum of as many releases, each of one occurrence under a `times`-th of the variance: a
/// post-processing of them, so what they spend together is a bound.
pub(super) fn compose(
    run: &Run,
    times: u32,
    accountant: &mut Accountant,
) -> Result<(), AccountingError> {
    match scaled(run, times) {
        _ if run.steps == 0 => Ok(()),
        Some(segment) => accountant.compose_chosen(&segment?),
        None => run.charge.compose(run.steps, accountant),
    }
}

/// The segment that a run is for a unit that occurs so often; `None` where nothing is proven or
/// spent.
pub(super) fn scaled(run: &Run, times: u32) -> Option<Result<Segment, AccountingError>> {
    let Charge::Gaussian { sampling_rate, noise_multiplier, overflow_probability, .. } = run.charge
    else {
        return None;
    };
    let (many, times) = (f64::from(times), u64::from(times));
    let steps = run.steps.saturating_mul(times);
    let noise_multiplier = match NoiseMultiplier::new(noise_multiplier.get() / many.sqrt()) {
        Ok(noise) => noise,
        Err(_) => return Some(Err(AccountingError::Infinite)),
    };
    // A step overflows once, however often the unit occurs.
    let overflow_probability = overflow_probability / many;
    Some(Ok(Segment { sampling_rate, noise_multiplier, steps, overflow_probability }))
}
