//! What to do about errors whose text does not say it.

use sphinx_privacy::AccountingError;
use sphinx_privacy::data::DataLedgerError;
use sphinx_privacy::ledger::LedgerError;

use crate::error::{ClientError, MemoryError, TrainingError};
use crate::workspace::WorkspaceError;

impl ClientError {
    /// What to do about it, in the words of the command `sphinx`; `None` where the error says all.
    pub fn advice(&self) -> Option<String> {
        if let Self::Memory(MemoryError::Suspect(suspect) | MemoryError::SuspectKey(suspect)) = self
        {
            let model = &suspect.model;
            return Some(format!("see `sphinx models suspect {model}`"));
        }
        let Self::Training(error) = self else { return None };
        let advice = if let TrainingError::Accounting(AccountingError::NoneProven { .. })
        | TrainingError::Ledger(LedgerError::Accounting(
            AccountingError::NoneProven { .. },
        )) = error
        {
            "train a new model, or this one with --privacy none"
        } else if let TrainingError::Ledger(LedgerError::AlreadyExists { .. }) = error {
            "it is of a model of that name that is gone: choose another --model, or move it away"
        } else if let TrainingError::Ledger(LedgerError::OtherBinding { field: "delta", .. }) =
            error
        {
            "leave --delta out"
        } else if let TrainingError::Data(DataLedgerError::Cap { .. }) = error {
            "lower --epsilon or --epochs, or raise the cap with `sphinx privacy cap`"
        } else if let TrainingError::Data(DataLedgerError::Changed { .. }) = error {
            "another name is given with --data-name"
        } else {
            return None;
        };
        Some(advice.to_owned())
    }
}

impl WorkspaceError {
    /// What to do about it, in the words of the command `sphinx`; `None` where the error says all.
    pub fn advice(&self) -> Option<String> {
        if let Self::Client(error) = self {
            return error.advice();
        }
        if let Self::NotRegistered { id } = self {
            return Some(format!("run `sphinx keys register {id}`"));
        }
        let advice = if let Self::NoKey = self {
            "make one with `sphinx keys new`"
        } else if let Self::WhichKey { .. } = self {
            "name it with --key"
        } else if let Self::NoSecret { .. } = self {
            "give another home with --home"
        } else if let Self::OtherModel { .. } = self {
            "leave the option out to train it further, or give a new model another --model"
        } else {
            return None;
        };
        Some(advice.to_owned())
    }
}
