//! What the trainings of all models have spent on the images that they were trained on.
//!
//! Two models on the same images spend together; a ledger per model does not see that. This one
//! knows images by digests of their decoded pixels under a secret of the home, in its file and
//! nowhere else: no label, no name and no encoding, so that relabelling or copying a set resets
//! nothing. Trainings whose images overlap compose, unit by unit, and the ε of a set is that of the
//! unit that has spent most; trainings of disjoint sets are parallel, provided that who is trained
//! on does not depend on what was learnt. Images that come to a set have spent nothing so far.
//!
//! A training *reserves* its steps, durably, before anything leaves ([`DataLedger::begin`]), and
//! they count in full until its end is noted ([`DataLedger::end`]) by what the model's own ledger
//! has recorded. Two trainings at once keep to a cap together, and one that was killed has spent
//! its reservation until its ledger is read. So what each step spent stands in one place, the
//! model's ledger.
//!
//! An image that is in a training more than once is one unit all the same: see `record::compose`.
//!
//! What it cannot see: the same person in two pictures (unless the unit is the person), a picture
//! scaled or cut by one pixel, trainings from another home.

mod error;
mod list;
mod record;
mod settle;
mod spending;
mod store;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rand::CryptoRng;

pub use error::DataLedgerError;
pub use list::{DataStatus, ModelShare};
pub use units::{Digester, Units};

use crate::accountant::AccountingError;
use crate::ledger::{Charge, Ledger, Run};
use crate::quantity::Target;
use record::{DataSet, Open, Training};
use spending::Spending;
use store::{Contents, Store};

/// The ledger of the data sets of a home, open and locked against other processes. Open it for a
/// moment only: others wait.
pub struct DataLedger {
    store: Store,
    digester: Digester,
    /// The directory of the models' ledgers, `<tenant>/<model>.redb`.
    ledgers: PathBuf,
    saved: Contents,
    contents: Contents,
}

/// A training that is about to start.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingStart<'a> {
    /// Tenant of the model.
    pub tenant: &'a str,
    /// Name of the data set; `None` for the one that these units are, or that they have grown from.
    pub name: Option<&'a str>,
    /// Who is trained on.
    pub units: Units,
    /// What each step spends.
    pub charge: Charge,
    /// How many steps at most.
    pub steps: u64,
}

impl DataLedger {
    /// Opens the ledger at `path`; makes one if there is none, with a secret from `rng`, and takes
    /// over what the models' ledgers below `ledgers` have spent: it counts for every set of as many
    /// examples, until the model is trained further and it is known for which.
    ///
    /// Blocks while another process has it open.
    ///
    /// # Errors
    /// [`DataLedgerError::Ledger`] if it is damaged, or cannot be written, or one of the models'
    /// cannot be read when they are taken over.
    pub fn open(
        path: &Path,
        ledgers: &Path,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, DataLedgerError> {
        let lock = Store::lock(path)?;
        if !path.exists() {
            Store::create(path, rng, &settle::existing(ledgers)?)?;
        }
        let (store, secret, contents) = Store::open(path, lock)?;
        let digester = Digester::new(&secret);
        let ledgers = ledgers.to_owned();
        Ok(Self { store, digester, ledgers, saved: contents.clone(), contents })
    }

    /// Makes the digests of units.
    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    /// Reserves what a training will spend at most, durably: only then may it start. `ledger` is
    /// that of its model.
    ///
    /// # Errors
    /// [`DataLedgerError::Changed`] if images of the set are gone, [`DataLedgerError::OtherUnit`],
    /// [`DataLedgerError::Cap`] and [`DataLedgerError::NoneProven`] if a cap does not allow it:
    /// nothing is reserved then. [`DataLedgerError::Ledger`] if it cannot be written.
    pub fn begin(
        &mut self,
        start: TrainingStart<'_>,
        ledger: &Ledger,
    ) -> Result<(), DataLedgerError> {
        let TrainingStart { tenant, name, units, charge, steps } = start;
        let model = ledger.binding().model.as_str();
        self.settle_others(Some((tenant, model)));
        self.settle(tenant, ledger);
        let begun = self.reserve((tenant, name), units, Run { charge, steps }, ledger);
        self.save_or_undo(begun)
    }

    /// Notes what the trainings of a model have spent, durably: one has ended.
    ///
    /// # Errors
    /// [`DataLedgerError::Ledger`] if it cannot be written.
    pub fn end(&mut self, tenant: &str, ledger: &Ledger) -> Result<(), DataLedgerError> {
        self.settle(tenant, ledger);
        self.save_or_undo(Ok(()))
    }

    /// Notes that a model is deleted, before its ledger is put aside: what it spent stays spent.
    ///
    /// # Errors
    /// [`DataLedgerError::Ledger`] if it cannot be written.
    pub fn retire(
        &mut self,
        tenant: &str,
        model: &str,
        ledger: Option<&Ledger>,
    ) -> Result<(), DataLedgerError> {
        if let Some(ledger) = ledger {
            self.settle(tenant, ledger);
        }
        for training in self.contents.trainings.values_mut() {
            if training.is_of(tenant, model) {
                training.deleted = true;
                // Without its ledger nobody knows better.
                training.runs.extend(training.open.take().map(|open| open.reserved));
            }
        }
        self.save_or_undo(Ok(()))
    }

    /// Makes a set known before anything is trained on it, or notes that it has grown. Returns its
    /// name.
    ///
    /// # Errors
    /// [`DataLedgerError::Changed`]; [`DataLedgerError::Ledger`] if it cannot be written.
    pub fn register(
        &mut self,
        name: Option<&str>,
        units: Units,
    ) -> Result<String, DataLedgerError> {
        let number = self.set(name, units);
        let name = number.map(|number| self.contents.sets[&number].name.clone());
        self.save_or_undo(name)
    }

    /// Sets the cap of a data set, or takes it away.
    ///
    /// # Errors
    /// [`DataLedgerError::Unknown`]; [`DataLedgerError::CapBelow`] if more is spent or reserved,
    /// [`DataLedgerError::NoneProven`] if nothing is proven of what is spent.
    pub fn cap(&mut self, name: &str, cap: Option<Target>) -> Result<(), DataLedgerError> {
        self.settle_others(None);
        let number = self.find(name)?;
        let changed = self.spent_within(number, cap);
        if let (Ok(()), Some(set)) = (&changed, self.contents.sets.get_mut(&number)) {
            set.cap = cap;
        }
        self.save_or_undo(changed)
    }

    /// Declares the images that a set has now as public: they spend nothing. Or takes that back:
    /// what they have spent meanwhile counts.
    ///
    /// # Errors
    /// [`DataLedgerError::Unknown`]; [`DataLedgerError::CapBelow`] and
    /// [`DataLedgerError::NoneProven`] if a cap is exceeded when that is taken back.
    pub fn publish(&mut self, name: &str, public: bool) -> Result<(), DataLedgerError> {
        let number = self.find(name)?;
        if let Some(set) = self.contents.sets.get_mut(&number) {
            set.public = public.then_some(set.list);
        }
        let caps: Vec<u64> = self.contents.sets.keys().copied().collect();
        let mut kept =
            caps.iter().map(|&other| self.spent_within(other, self.contents.sets[&other].cap));
        let kept = kept.find(Result::is_err).unwrap_or(Ok(()));
        self.save_or_undo(kept)
    }

    fn reserve(
        &mut self,
        (tenant, name): (&str, Option<&str>),
        units: Units,
        run: Run,
        ledger: &Ledger,
    ) -> Result<(), DataLedgerError> {
        self.check_unit(&units)?;
        let list = self.list_of(units.clone());
        self.set(name, units.clone())?;
        self.take_over(tenant, ledger, list);
        let binding = ledger.binding();
        let first = ledger.records().len() as u64;
        let training = Training {
            tenant: tenant.to_owned(),
            model: binding.model.clone(),
            ledger: Some(ledger.identity()),
            deleted: false,
            list: Some(list),
            units: units.protected().len() as u64,
            unit: units.unit,
            runs: Vec::new(),
            open: Some(Open { reserved: run, first }),
            records: first,
        };
        let number = next(&self.contents.trainings);
        self.contents.trainings.insert(number, training);
        for set in self.contents.sets.values() {
            let Some(cap) = set.cap else { continue };
            let spending = Spending::new(&self.contents, &self.contents.lists[&set.list], &units);
            let none = |cause| none_proven(set, cause);
            let epsilon = spending.epsilon(cap.delta()).map_err(none)?.proven();
            if epsilon > cap.epsilon() {
                return Err(DataLedgerError::Cap {
                    name: set.name.clone(),
                    epsilon,
                    cap: cap.epsilon(),
                    delta: cap.delta().get(),
                    steps: run.steps,
                    allowed: spending.allowed(cap, number, &run).map_err(none)?,
                });
            }
        }
        Ok(())
    }

    /// Refuses images that were trained on with another unit, unless they are public.
    fn check_unit(&self, units: &Units) -> Result<(), DataLedgerError> {
        let public = self.contents.sets.values().filter_map(|set| set.public);
        let public: Vec<&Units> = public.map(|list| &self.contents.lists[&list]).collect();
        for training in self.contents.trainings.values().filter(|t| t.unit != units.unit) {
            let Some(list) = training.list.map(|list| &self.contents.lists[&list]) else {
                continue;
            };
            let mut images = units.images.clone();
            for (others, kept) in [(vec![list], true), (public.clone(), false)] {
                for other in others {
                    let mut there = units::occurrences(&images, &other.images).into_iter();
                    images.retain(|_| there.next().is_some_and(|times| (times > 0) == kept));
                }
            }
            if !images.is_empty() {
                return Err(DataLedgerError::OtherUnit {
                    images: images.len(),
                    got: error::name(training.unit),
                    expected: error::name(units.unit),
                });
            }
        }
        Ok(())
    }

    /// Refuses a cap below what some unit of a set has spent.
    fn spent_within(&self, number: u64, cap: Option<Target>) -> Result<(), DataLedgerError> {
        let (Some(set), Some(cap)) = (self.contents.sets.get(&number), cap) else {
            return Ok(());
        };
        let all = &self.contents.lists[&set.list];
        let spent = Spending::new(&self.contents, all, all).epsilon(cap.delta());
        let spent = spent.map_err(|cause| none_proven(set, cause))?.proven();
        if spent > cap.epsilon() {
            let (cap, delta) = (cap.epsilon(), cap.delta().get());
            return Err(DataLedgerError::CapBelow { name: set.name.clone(), spent, cap, delta });
        }
        Ok(())
    }

    /// The number of the list of these units, which is added if it is new.
    fn list_of(&mut self, units: Units) -> u64 {
        if let Some((&number, _)) = self.contents.lists.iter().find(|(_, list)| **list == units) {
            return number;
        }
        let number = next(&self.contents.lists);
        self.contents.lists.insert(number, units);
        number
    }

    /// The number of a set after it has become these units.
    fn set(&mut self, name: Option<&str>, units: Units) -> Result<u64, DataLedgerError> {
        let lists = &self.contents.lists;
        let grown = |set: &DataSet| units.lacks(&lists[&set.list]) == 0;
        let mut sets = self.contents.sets.iter();
        let known = match name {
            Some(name) => sets.find(|(_, set)| set.name == name),
            None => {
                sets.filter(|(_, set)| grown(set)).max_by_key(|(_, set)| lists[&set.list].images())
            }
        };
        if let Some((&number, set)) = known {
            let before = &lists[&set.list];
            let gone = units.lacks(before);
            if gone > 0 {
                let (had, added) = (before.images(), before.lacks(&units));
                return Err(DataLedgerError::Changed { name: set.name.clone(), gone, had, added });
            }
            let list = self.list_of(units);
            if let Some(set) = self.contents.sets.get_mut(&number) {
                set.list = list;
            }
            return Ok(number);
        }
        let name = name.map_or_else(
            || format!("data-{}", &units.fingerprint().to_string()[..8]),
            str::to_owned,
        );
        let list = self.list_of(units);
        let number = next(&self.contents.sets);
        self.contents.sets.insert(number, DataSet { name, list, cap: None, public: None });
        Ok(number)
    }

    fn find(&self, name: &str) -> Result<u64, DataLedgerError> {
        let found = self.contents.sets.iter().find(|(_, set)| set.name == name);
        found.map(|(&number, _)| number).ok_or_else(|| DataLedgerError::Unknown {
            name: name.to_owned(),
            known: self.contents.sets.values().map(|set| set.name.clone()).collect(),
        })
    }

    /// Saves the changes, or forgets them if one of them was refused.
    fn save_or_undo<T>(&mut self, done: Result<T, DataLedgerError>) -> Result<T, DataLedgerError> {
        let done = done.and_then(|done| {
            self.store.save(&self.saved, &self.contents)?;
            Ok(done)
        });
        match done {
            Ok(_) => self.saved = self.contents.clone(),
            Err(_) => self.contents = self.saved.clone(),
        }
        done
    }
}

impl fmt::Debug for DataLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataLedger")
            .field("sets", &self.contents.sets.len())
            .field("trainings", &self.contents.trainings.len())
            .finish_non_exhaustive()
    }
}

fn none_proven(set: &DataSet, cause: AccountingError) -> DataLedgerError {
    DataLedgerError::NoneProven { name: set.name.clone(), cause }
}

/// The number after the last.
fn next<T>(rows: &BTreeMap<u64, T>) -> u64 {
    rows.last_key_value().map_or(0, |(&number, _)| number + 1)
}
