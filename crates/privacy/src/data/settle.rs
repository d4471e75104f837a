//! What trainings really spent, read from the ledgers of their models.

use std::fs;
use std::path::Path;

use super::DataLedger;
use super::error::DataLedgerError;
use super::record::{Open, Training};
use super::store::Contents;
use crate::ledger::{Charge, Ledger, LedgerError, PrivacyUnit, Run};

impl DataLedger {
    /// Settles the trainings of all models but one whose end was not noted: those that were killed.
    /// Where the ledger of a model is in use, training goes on; where it is gone, all that was
    /// reserved stays spent.
    pub(super) fn settle_others(&mut self, except: Option<(&str, &str)>) {
        let open = self.contents.trainings.values().filter(|training| training.open.is_some());
        let models = open.map(|training| (training.tenant.clone(), training.model.clone()));
        let mut models: Vec<(String, String)> = models.collect();
        models.sort();
        models.dedup();
        for (tenant, model) in models {
            if except == Some((tenant.as_str(), model.as_str())) {
                continue;
            }
            let path = self.ledgers.join(&tenant).join(format!("{model}.redb"));
            if let Ok(ledger) = Ledger::open_model(&path, &model) {
                self.settle(&tenant, &ledger);
            }
        }
    }

    /// Notes what the trainings of a model have spent, by its ledger.
    pub(super) fn settle(&mut self, tenant: &str, ledger: &Ledger) {
        let records = ledger.records().len() as u64;
        let (model, identity) = (ledger.binding().model.as_str(), ledger.identity());
        for training in self.contents.trainings.values_mut() {
            if !training.is_of(tenant, model) {
                continue;
            }
            if *training.ledger.get_or_insert(identity) != identity || training.records > records {
                // The ledger is that of another model of the same name.
                training.deleted = true;
            }
            let Some(Open { reserved, first }) = training.open.take() else { continue };
            if training.list.is_none() {
                (training.units, training.unit) =
                    (ledger.binding().examples, ledger.binding().unit);
            }
            if training.deleted {
                training.runs = vec![reserved];
            } else {
                training.runs = ledger.runs_from(first as usize);
                training.records = records;
            }
        }
    }

    /// Records of a model's ledger that no training here accounts for, if there are any: those of
    /// earlier versions of the program, or made since an old copy of this ledger was put back. They
    /// count for the units that the model is trained on now.
    pub(super) fn take_over(&mut self, tenant: &str, ledger: &Ledger, list: u64) {
        let model = ledger.binding().model.clone();
        let mut known = 0;
        for training in self.contents.trainings.values_mut() {
            if training.is_of(tenant, &model) {
                known = known.max(training.records);
                training.list.get_or_insert(list);
            }
        }
        let records = ledger.records().len() as u64;
        if records > known {
            let mut training = of_ledger(tenant, ledger, known);
            training.list = Some(list);
            let number = super::next(&self.contents.trainings);
            self.contents.trainings.insert(number, training);
        }
    }
}

fn of_ledger(tenant: &str, ledger: &Ledger, first: u64) -> Training {
    let binding = ledger.binding();
    Training {
        tenant: tenant.to_owned(),
        model: binding.model.clone(),
        ledger: Some(ledger.identity()),
        deleted: false,
        list: None,
        units: binding.examples,
        unit: binding.unit,
        runs: ledger.runs_from(first as usize),
        open: None,
        records: ledger.records().len() as u64,
    }
}

fn in_use(tenant: &str, model: &str) -> Training {
    let reserved = Run { charge: Charge::PostProcessing, steps: 0 };
    Training {
        tenant: tenant.to_owned(),
        model: model.to_owned(),
        ledger: None,
        deleted: false,
        list: None,
        units: 0,
        unit: PrivacyUnit::Example,
        runs: Vec::new(),
        open: Some(Open { reserved, first: 0 }),
        records: 0,
    }
}

/// All ledgers below a directory of tenants, those of deleted models included, that have spent
/// something. One that is in use is read when it is not any more, or by the training that uses it.
///
/// # Errors
/// [`DataLedgerError::Ledger`] for one that cannot be read: what was spent is not known then.
pub(super) fn existing(ledgers: &Path) -> Result<Contents, DataLedgerError> {
    let mut contents = Contents::default();
    for tenant in names(ledgers)? {
        for name in names(&ledgers.join(&tenant))? {
            let Some((model, rest)) = name.rsplit_once(".redb") else { continue };
            if !(rest.is_empty() || rest.starts_with(".deleted-")) {
                continue; // a draft
            }
            let deleted = !rest.is_empty();
            let training = match Ledger::open_model(&ledgers.join(&tenant).join(&name), model) {
                Ok(ledger) => Training { deleted, ..of_ledger(&tenant, &ledger, 0) },
                Err(LedgerError::InUse { .. }) => in_use(&tenant, model),
                Err(error) => return Err(error.into()),
            };
            if training.open.is_some() || !training.runs.is_empty() {
                contents.trainings.insert(super::next(&contents.trainings), training);
            }
        }
    }
    Ok(contents)
}

/// Names in a directory that need not be there, sorted.
fn names(directory: &Path) -> Result<Vec<String>, LedgerError> {
    let io = |error: std::io::Error| LedgerError::io(directory, &error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(io)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
