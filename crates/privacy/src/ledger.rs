//! The durable record of what the training of one model has spent.
//!
//! Order of a step: noise the sum, [`Ledger::reserve`] it (returns once record *and* bytes are on
//! the disk), send the bytes, [`Ledger::confirm`] when the server has committed them. After a crash
//! or a lost connection [`Ledger::pending`] holds the identical bytes to send again. A record is
//! never removed: an update that may have left the client is spent.
//!
//! Each record carries the hash of all before it, the first that of the [`Binding`]; the store's
//! pages carry checksums, verified whenever the ledger is opened. Damage, edits and ledgers of
//! other models are refused. Putting back an old copy of the whole file cannot be noticed from the
//! file alone: [`Ledger::check_version`] compares with what the server has committed. Nothing here
//! protects users from themselves: who rewrites the file with all its hashes deceives only himself.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::accountant::{Accountant, AccountingError};
use crate::epsilon::Epsilon;
use crate::quantity::{Delta, Target};

mod allowance;
mod error;
mod record;
pub(crate) mod store;

pub use error::LedgerError;
pub use record::{Binding, Charge, Digest, Entry, Head, Pins, PrivacyUnit, Record, Run};

use allowance::Allowance;
use store::{Contents, Store};

/// Proof that a step is recorded durably: its update may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Number of the record, from 0.
    pub record: u64,
    /// Step it was recorded for.
    pub step: u64,
    /// Digest of the bytes to send.
    pub update: Digest,
}

/// An update that was recorded and possibly sent, but not confirmed.
#[derive(Clone, PartialEq)]
pub struct PendingUpdate {
    /// The step as recorded.
    pub entry: Entry,
    /// The exact bytes to send again.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for PendingUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingUpdate({:?}, {} bytes)", self.entry, self.bytes.len())
    }
}

/// The open ledger of one model. The file is locked against other processes meanwhile.
pub struct Ledger {
    store: Store,
    binding: Binding,
    records: Vec<Record>,
    /// One more than the largest step recorded and not abandoned.
    version: u64,
    /// Numbers of the records whose updates the server never took.
    abandoned: BTreeSet<u64>,
    target: Option<Target>,
    pins: Option<Pins>,
    genesis: Digest,
    hash: Digest,
    pending: Option<PendingUpdate>,
    accountant: Accountant,
    allowance: Option<Allowance>,
}

impl Ledger {
    /// Starts the ledger of a new model, readable by its owner only.
    ///
    /// # Errors
    /// [`LedgerError::AlreadyExists`], [`LedgerError::Storage`].
    pub fn create(path: &Path, binding: &Binding) -> Result<Self, LedgerError> {
        Store::create(path, binding)?;
        Self::open(path, binding)
    }

    /// Opens the ledger of a model to train it further.
    ///
    /// # Errors
    /// [`LedgerError::Missing`], [`LedgerError::InUse`], [`LedgerError::Damaged`],
    /// [`LedgerError::OtherBinding`]: the model must not be trained then.
    pub fn open(path: &Path, binding: &Binding) -> Result<Self, LedgerError> {
        let ledger = Self::open_grown(path, binding)?;
        let (found, expected) = (ledger.binding.examples, binding.examples);
        if found != expected {
            return Err(LedgerError::of_size(found, expected));
        }
        Ok(ledger)
    }

    /// As [`open`](Self::open) for a data set that has grown since the ledger was made. All steps
    /// count for all examples here: more than those that came later have spent.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`LedgerError::OtherBinding`] for a data set that has shrunk.
    pub fn open_grown(path: &Path, binding: &Binding) -> Result<Self, LedgerError> {
        let ledger = Self::open_model(path, &binding.model)?;
        let differing = |field, got: &dyn ToString, expected: &dyn ToString| {
            Err(LedgerError::OtherBinding {
                field,
                got: got.to_string(),
                expected: expected.to_string(),
            })
        };
        let found = &ledger.binding;
        if found.examples > binding.examples {
            return Err(LedgerError::of_size(found.examples, binding.examples));
        }
        if found.delta != binding.delta {
            return differing("delta", &found.delta.get(), &binding.delta.get());
        }
        if found.unit != binding.unit {
            let name = |unit| format!("{unit:?}");
            return differing("unit of privacy", &name(found.unit), &name(binding.unit));
        }
        Ok(ledger)
    }

    /// Opens the ledger of a model to look at it, whatever its data set and δ.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_model(path: &Path, model: &str) -> Result<Self, LedgerError> {
        let (store, contents) = Store::open(path)?;
        let Contents { binding, records, genesis, hash, pending, target, pins, abandoned } =
            contents;
        if binding.model != model {
            let (got, expected) = (binding.model, model.to_owned());
            return Err(LedgerError::OtherBinding { field: "model", got, expected });
        }
        let mut accountant = Accountant::new();
        for Run { charge, steps } in runs(&records) {
            charge.compose(steps, &mut accountant).map_err(|e| LedgerError::damaged(path, e))?;
        }
        let pending = pending
            .zip(records.last())
            .map(|(bytes, record)| PendingUpdate { entry: record.entry.clone(), bytes });
        let version = version(&records, &abandoned);
        let allowance = None;
        Ok(Self {
            store,
            binding,
            records,
            version,
            abandoned,
            target,
            pins,
            genesis,
            hash,
            pending,
            accountant,
            allowance,
        })
    }

    /// Spends a step: records it together with the exact bytes to be sent, and returns once both
    /// are on the disk (a few milliseconds). With a target, refuses the step that would exceed it,
    /// and remembers it ([`Ledger::target`]).
    ///
    /// Reserving the pending step again with the same bytes returns the same receipt and spends
    /// nothing.
    ///
    /// # Errors
    /// [`LedgerError::BudgetExhausted`], [`LedgerError::Pending`], [`LedgerError::PendingDiffers`],
    /// [`LedgerError::StepGap`], [`LedgerError::Accounting`]: nothing was recorded.
    /// [`LedgerError::Storage`]: open the ledger again to learn whether it was.
    pub fn reserve(
        &mut self,
        entry: &Entry,
        target: Option<Target>,
        update: &[u8],
    ) -> Result<Receipt, LedgerError> {
        let digest = Digest::of(update);
        if let Some(pending) = &self.pending {
            let step = pending.entry.step;
            if pending.entry.session != entry.session || step != entry.step {
                return Err(LedgerError::Pending { step });
            }
            if pending.bytes != update || pending.entry.charge != entry.charge {
                return Err(LedgerError::PendingDiffers { step });
            }
            return Ok(Receipt { record: self.head().records - 1, step, update: digest });
        }
        let next = self.head().version;
        if entry.step > next {
            return Err(LedgerError::StepGap { got: entry.step, next });
        }
        let mut accountant = self.accountant.clone();
        entry.charge.compose(1, &mut accountant)?;
        let allowance = match target {
            Some(target) => self.allow(entry.charge, target, &accountant)?,
            None => None,
        };
        let number = self.records.len() as u64;
        let record = Record { entry: entry.clone(), update: digest, previous: self.hash };
        self.hash = self.store.append(number, &record, update, target)?;
        self.target = target.or(self.target);
        self.records.push(record);
        self.version = next.max(entry.step + 1);
        self.pending = Some(PendingUpdate { entry: entry.clone(), bytes: update.to_vec() });
        self.accountant = accountant;
        self.allowance = allowance;
        Ok(Receipt { record: number, step: entry.step, update: digest })
    }

    /// The update to send again, if one is not confirmed.
    pub fn pending(&self) -> Option<&PendingUpdate> {
        self.pending.as_ref()
    }

    /// Notes that the server has committed the pending update; its bytes are deleted.
    ///
    /// # Errors
    /// [`LedgerError::NotPending`], [`LedgerError::Storage`].
    pub fn confirm(&mut self, step: u64) -> Result<(), LedgerError> {
        if self.pending.as_ref().is_none_or(|pending| pending.entry.step != step) {
            return Err(LedgerError::NotPending { step });
        }
        self.store.clear_pending(self.head().records - 1)?;
        self.pending = None;
        Ok(())
    }

    /// Gives up the pending update, where the server will never take it. What it spent stays spent:
    /// it may have been seen. The model's version is again the one it was made for, so that a
    /// version that somebody else makes of it meanwhile is noticed ([`Ledger::check_version`]).
    ///
    /// # Errors
    /// [`LedgerError::NotPending`], [`LedgerError::Storage`].
    pub fn abandon(&mut self, step: u64) -> Result<(), LedgerError> {
        if self.pending.as_ref().is_none_or(|pending| pending.entry.step != step) {
            return Err(LedgerError::NotPending { step });
        }
        let number = self.head().records - 1;
        self.store.abandon_pending(number)?;
        self.pending = None;
        self.abandoned.insert(number);
        self.version = version(&self.records, &self.abandoned);
        Ok(())
    }

    /// The target that the last step recorded under one kept to: the budget, until another is asked
    /// for.
    pub fn target(&self) -> Option<Target> {
        self.target
    }

    /// The ε of everything recorded, at δ.
    ///
    /// # Errors
    /// As [`Accountant::epsilon`].
    pub fn spent(&self, delta: Delta) -> Result<Epsilon, AccountingError> {
        self.accountant.epsilon(delta)
    }

    /// How many more steps of a segment's kind the target allows
    /// ([`Accountant::steps_within`]).
    ///
    /// # Errors
    /// As [`Accountant::steps_within`].
    pub fn remaining(
        &self,
        segment: &crate::Segment,
        target: Target,
    ) -> Result<u64, AccountingError> {
        self.accountant.steps_within(segment, target)
    }

    /// What the ledger was made for.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// By what this ledger differs from any other, also of the same model: the first hash of its
    /// chain. Ledgers of earlier releases had the same if they were made for the same.
    pub fn identity(&self) -> Digest {
        self.genesis
    }

    /// All records, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records as runs of steps that spent alike, oldest first; those that spent nothing are
    /// left out.
    pub fn runs(&self) -> Vec<Run> {
        self.runs_from(0)
    }

    /// The same of the records from number `first` on.
    pub fn runs_from(&self, first: usize) -> Vec<Run> {
        runs(self.records.get(first..).unwrap_or_default())
    }

    /// Length, version and hash of the ledger.
    pub fn head(&self) -> Head {
        let records = self.records.len() as u64;
        Head { records, version: self.version, hash: self.hash }
    }

    /// Notes which model the ledger is of, durably and once.
    ///
    /// # Errors
    /// [`LedgerError::OtherModel`] if it is of another; [`LedgerError::Storage`].
    pub fn pin(&mut self, pins: &Pins) -> Result<(), LedgerError> {
        match &self.pins {
            Some(kept) if kept == pins => Ok(()),
            Some(_) => Err(LedgerError::OtherModel { version: 0 }),
            None => {
                self.store.pin(pins)?;
                self.pins = Some(pins.clone());
                Ok(())
            }
        }
    }

    /// Which model the ledger is of, if that was noted.
    pub fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    /// Compares with the version that the server has, and the hash chain that leads to it.
    ///
    /// # Errors
    /// [`LedgerError::RolledBack`] when the server has more steps than the ledger,
    /// [`LedgerError::ServerRolledBack`] when it has fewer, [`LedgerError::OtherModel`] when its
    /// version is another than the one recorded.
    pub fn check_model(&self, server: u64, chain: Digest) -> Result<(), LedgerError> {
        self.check_version(server)?;
        let ledger = self.head().version;
        if server < ledger {
            return Err(LedgerError::ServerRolledBack { ledger, server });
        }
        self.check_chain(server, chain)
    }

    /// Compares the hash chain of a version with what was recorded for it, where something was.
    ///
    /// # Errors
    /// [`LedgerError::OtherModel`] when it is another.
    pub fn check_chain(&self, server: u64, chain: Digest) -> Result<(), LedgerError> {
        let kept = (0..).zip(&self.records).filter(|(number, record)| {
            !self.abandoned.contains(number) && record.entry.step + 1 == server
        });
        let kept = match server {
            0 => self.pins.as_ref().map(|pins| pins.first_chain),
            _ => kept.last().and_then(|(_, record)| record.entry.chain),
        };
        match kept {
            Some(kept) if kept != chain => Err(LedgerError::OtherModel { version: server }),
            // Ledgers of earlier releases noted no chain.
            Some(_) | None => Ok(()),
        }
    }

    /// Compares with the version the server has committed.
    ///
    /// # Errors
    /// [`LedgerError::RolledBack`] when the server has more steps than the ledger.
    pub fn check_version(&self, server: u64) -> Result<(), LedgerError> {
        let ledger = self.head().version;
        if ledger < server { Err(LedgerError::RolledBack { ledger, server }) } else { Ok(()) }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, records) = (self.store.path(), self.records.len());
        f.debug_struct("Ledger")
            .field("path", &path)
            .field("records", &records)
            .finish_non_exhaustive()
    }
}

/// The version that all updates together lead to.
fn version(records: &[Record], abandoned: &BTreeSet<u64>) -> u64 {
    let taken = (0..).zip(records).filter(|(number, _)| !abandoned.contains(number));
    taken.map(|(_, record)| record.entry.step.saturating_add(1)).max().unwrap_or(0)
}

fn runs(records: &[Record]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for record in records.iter().filter(|record| record.entry.charge != Charge::PostProcessing) {
        match runs.last_mut() {
            Some(run) if run.charge == record.entry.charge => run.steps += 1,
            Some(_) | None => runs.push(Run { charge: record.entry.charge, steps: 1 }),
        }
    }
    runs
}
