//! Why the ledger of data sets refuses.

use crate::accountant::AccountingError;
use crate::ledger::{LedgerError, PrivacyUnit};

/// Why the ledger of data sets refuses. Nothing was recorded then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DataLedgerError {
    /// Its file, or the ledger of a model, cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no set of that name.
    #[error("no data set {name:?} is known here{}", only(known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Images of a set are gone.
    #[error(
        "data set {name:?} has changed: {gone} of its {had} images are not there any more, {added} are new; a set may grow, but who is \
         trained on must not depend on what was learnt: bring them back, or train under another name, which does not reset what they have spent"
    )]
    Changed {
        /// The set.
        name: String,
        /// Images that are missing.
        gone: usize,
        /// Images it had.
        had: usize,
        /// Images that it did not have.
        added: usize,
    },
    /// The training would bring some unit above the cap of a set that it is in.
    #[error(
        "this training would bring epsilon of data set {name:?} to {epsilon:.4}, beyond its cap of {cap} at delta = {delta:e}: \
         {allowed} of its {steps} steps are allowed"
    )]
    Cap {
        /// The set.
        name: String,
        /// Proven ε of its worst unit after the training.
        epsilon: f64,
        /// The cap.
        cap: f64,
        /// δ of the cap.
        delta: f64,
        /// Steps of the training.
        steps: u64,
        /// Steps that the cap allows.
        allowed: u64,
    },
    /// The cap is below what is spent, or may be by trainings that have not ended.
    #[error(
        "data set {name:?} has spent epsilon = {spent:.4} at delta = {delta:e} already, trainings that have not ended \
         included: a cap of {cap} would be below"
    )]
    CapBelow {
        /// The set.
        name: String,
        /// Proven ε of its worst unit.
        spent: f64,
        /// The cap asked for.
        cap: f64,
        /// δ of the cap.
        delta: f64,
    },
    /// A cap cannot be kept where nothing is proven.
    #[error("data set {name:?}: a cap cannot be kept, {cause}")]
    NoneProven {
        /// The set.
        name: String,
        /// Why nothing is.
        cause: AccountingError,
    },
    /// Some images were trained on with another unit of privacy.
    #[error(
        "{images} of these images were trained on with {got} as the unit of privacy, now it would be {expected}: epsilon of \
         the two cannot be added up; keep to one unit for the same images"
    )]
    OtherUnit {
        /// Images in common.
        images: usize,
        /// Unit before.
        got: &'static str,
        /// Unit asked for.
        expected: &'static str,
    },
}

/// What a unit is called.
pub(super) fn name(unit: PrivacyUnit) -> &'static str {
    match unit {
        PrivacyUnit::Example => "an image",
        PrivacyUnit::Person => "a person",
    }
}

fn only(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(", only {}", names.join(", ")) }
}
