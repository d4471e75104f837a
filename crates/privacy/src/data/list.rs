//! What there is to say of every data set.

use std::collections::BTreeMap;

use super::DataLedger;
use super::error::DataLedgerError;
use super::spending::Spending;
use crate::accountant::AccountingError;
use crate::epsilon::Epsilon;
use crate::ledger::PrivacyUnit;
use crate::quantity::{Delta, Target};

/// A data set, and what was spent on it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataStatus {
    /// Its name.
    pub name: String,
    /// What is protected.
    pub unit: PrivacyUnit,
    /// Number of images.
    pub examples: u64,
    /// Number of different units.
    pub units: u64,
    /// How many of them are not public.
    pub private: u64,
    /// Most occurrences of one unit in a training. An image that is there twice spends more.
    pub repeated: u32,
    /// Models that were trained on some of its private units, deleted ones too.
    pub models: Vec<ModelShare>,
    /// δ at which ε is stated: the cap's, if there is one.
    pub delta: Delta,
    /// ε of the private unit that has spent most, trainings that have not ended counted in full.
    pub spent: Result<Epsilon, AccountingError>,
    /// What is not to be exceeded.
    pub cap: Option<Target>,
}

/// A model and what it has made of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShare {
    /// Its tenant.
    pub tenant: String,
    /// Its name.
    pub model: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Steps that were made.
    pub steps: u64,
    /// Steps that a training that has not ended may make.
    pub reserved: u64,
}

impl DataStatus {
    /// What the cap leaves, by the proven ε; `None` without a cap, or where nothing is proven.
    pub fn left(&self) -> Option<f64> {
        let spent = self.spent.as_ref().ok()?.proven();
        self.cap.map(|cap| (cap.epsilon() - spent).max(0.0))
    }
}

impl DataLedger {
    /// Every data set, after the ends of trainings that were killed have been noted.
    ///
    /// # Errors
    /// [`DataLedgerError::Ledger`] if that cannot be written.
    pub fn list(&mut self, delta: Delta) -> Result<Vec<DataStatus>, DataLedgerError> {
        self.settle_others(None);
        self.save_or_undo(Ok(()))?;
        let status = |set: &super::DataSet| {
            let units = &self.contents.lists[&set.list];
            let spending = Spending::new(&self.contents, units, units);
            let delta = set.cap.map_or(delta, Target::delta);
            let mut protected = units.protected().to_vec();
            protected.dedup();
            DataStatus {
                name: set.name.clone(),
                unit: units.unit,
                examples: units.images() as u64,
                units: protected.len() as u64,
                private: spending.private.len() as u64,
                repeated: spending.repeated(),
                models: shares(&spending),
                delta,
                spent: spending.epsilon(delta),
                cap: set.cap,
            }
        };
        Ok(self.contents.sets.values().map(status).collect())
    }
}

fn shares(spending: &Spending<'_>) -> Vec<ModelShare> {
    let mut shares: BTreeMap<(&str, &str, bool), (u64, u64)> = BTreeMap::new();
    for training in spending.trainings() {
        let key = (training.tenant.as_str(), training.model.as_str(), training.deleted);
        let (steps, reserved) = shares.entry(key).or_default();
        *steps += training.steps();
        *reserved += training.open.map_or(0, |open| open.reserved.steps);
    }
    let share =
        |((tenant, model, deleted), (steps, reserved)): ((&str, &str, bool), (u64, u64))| {
            let (tenant, model) = (tenant.to_owned(), model.to_owned());
            ModelShare { tenant, model, deleted, steps, reserved }
        };
    shares.into_iter().map(share).collect()
}
