//! Why a ledger refuses.

use std::path::{Path, PathBuf};

use crate::accountant::AccountingError;

/// Why a ledger refuses. After any of these, nothing may be sent that is not yet recorded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LedgerError {
    /// There is no ledger: what was spent is unknown, so training must not go on.
    #[error(
        "no privacy ledger at {}: what this model's training has spent is unknown, so it cannot be \
         continued; bring the ledger back, or train a new model", path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A ledger would be overwritten.
    #[error("a privacy ledger exists already at {}", path.display())]
    AlreadyExists {
        /// Where.
        path: PathBuf,
    },
    /// Another process holds the ledger.
    #[error("the privacy ledger {} is in use by another process", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The ledger is not as it was written.
    #[error(
        "the privacy ledger {} is damaged or was edited ({cause}): what was spent cannot be known, \
         so the model cannot be trained further; restore the ledger from a backup", path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// The ledger belongs to another model, data set, δ or unit of privacy.
    #[error("the privacy ledger is for {field} {got}, training needs {expected}")]
    OtherBinding {
        /// What differs.
        field: &'static str,
        /// In the ledger.
        got: String,
        /// For the training.
        expected: String,
    },
    /// The model is further than the ledger: an old copy of the ledger was put back.
    #[error(
        "the privacy ledger ends at version {ledger}, the server has committed version {server}: an \
         old copy was put back, or another client trained the model; restore the newest ledger"
    )]
    RolledBack {
        /// Version that the ledger's last record leads to.
        ledger: u64,
        /// Version committed by the server.
        server: u64,
    },
    /// The server is behind the ledger: it went back to an older copy.
    #[error(
        "the server has version {server} of the model, the privacy ledger has recorded version {ledger}: the \
         service went back to an older copy; bring its newest copy back, or train a new model"
    )]
    ServerRolledBack {
        /// Version that the ledger's last record leads to.
        ledger: u64,
        /// Version of the server.
        server: u64,
    },
    /// The model at the server is not the one that the ledger has recorded.
    #[error(
        "version {version} of the model at the server is not the one that the privacy ledger has recorded: its \
         hash chain differs; somebody replaced the model"
    )]
    OtherModel {
        /// The version.
        version: u64,
    },
    /// A step is skipped: somebody trained the model without this ledger.
    #[error(
        "step {got} does not follow the ledger, whose next is {next}: steps in between are unaccounted"
    )]
    StepGap {
        /// The step offered.
        got: u64,
        /// The largest that may be recorded.
        next: u64,
    },
    /// Another update waits for its confirmation.
    #[error(
        "the update of step {step} is not confirmed yet: send its stored bytes again, or abandon it"
    )]
    Pending {
        /// Its step.
        step: u64,
    },
    /// Fresh bytes for a step whose update is pending.
    #[error(
        "step {step} has an update with other bytes: fresh noise for the same batch would spend twice, \
         send the stored bytes"
    )]
    PendingDiffers {
        /// The step.
        step: u64,
    },
    /// There is no pending update of that step.
    #[error("no update of step {step} is pending")]
    NotPending {
        /// The step offered.
        step: u64,
    },
    /// The step would exceed the target. Nothing was recorded.
    #[error(
        "the privacy budget is spent: this step would bring epsilon to {epsilon:.4}, beyond {target}"
    )]
    BudgetExhausted {
        /// Proven ε after the step.
        epsilon: f64,
        /// ε not to be exceeded.
        target: f64,
    },
    /// No ε can be stated.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// The disk or the store failed. Open the ledger again: it tells whether the record was made.
    #[error("the privacy ledger {} cannot be read or written: {cause}", path.display())]
    Storage {
        /// Which.
        path: PathBuf,
        /// The failure below.
        cause: String,
    },
}

impl LedgerError {
    /// A data set of another size.
    pub(crate) fn of_size(got: u64, expected: u64) -> Self {
        let (got, expected) = (got.to_string(), expected.to_string());
        Self::OtherBinding { field: "a data set of size", got, expected }
    }

    pub(crate) fn damaged(path: &Path, cause: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), cause: cause.to_string() }
    }

    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        // Written as comparisons: the kinds that matter here are two of dozens.
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::Missing { path }
        } else if error.kind() == std::io::ErrorKind::AlreadyExists {
            Self::AlreadyExists { path }
        } else {
            Self::Storage { path, cause: error.to_string() }
        }
    }

    /// A failure while opening or reading: what the store does not recognise is damage.
    pub(crate) fn reading(path: &Path, error: impl Into<redb::Error>) -> Self {
        let error = error.into();
        if matches!(error, redb::Error::DatabaseAlreadyOpen) {
            return Self::InUse { path: path.to_owned() };
        }
        if let redb::Error::Io(io) = &error
            && io.kind() != std::io::ErrorKind::InvalidData
            && io.kind() != std::io::ErrorKind::UnexpectedEof
        {
            return Self::io(path, io);
        }
        Self::damaged(path, error)
    }

    /// A failure while writing.
    pub(crate) fn writing(path: &Path, error: impl Into<redb::Error>) -> Self {
        Self::unusable(path, error.into())
    }

    /// A failure of something else.
    pub(crate) fn unusable(path: &Path, cause: impl ToString) -> Self {
        Self::Storage { path: path.to_owned(), cause: cause.to_string() }
    }
}
