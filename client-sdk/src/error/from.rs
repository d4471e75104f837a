//! Errors of other crates on their way into [`ClientError`], each through the error of its room.

use sphinx_evaluation_keys::{EvaluationKeyError, LayoutError};
use sphinx_gradient::{ClearError, PassError, TensorError};
use sphinx_optimizer::OptimizerError;
use sphinx_privacy::data::DataLedgerError;
use sphinx_privacy::ledger::LedgerError;
use sphinx_privacy::{AccountingError, MechanismError, PlanError};
use sphinx_quantise::LowerError;
use sphinx_secret::{DecryptError, KeyError, KeyFileError, OneShotError};

use crate::error::{
    AugmentationError, ClientError, ClientKeyError, OneShotInferenceError, PersonsError,
    TrainingError,
};

macro_rules! through {
    ($room:ident: $($source:ident),*) => {
        $(impl From<$source> for ClientError {
            fn from(error: $source) -> Self {
                $room::from(error).into()
            }
        })*
    };
}

through!(TrainingError: AugmentationError, PassError, TensorError, ClearError, OptimizerError);
through!(TrainingError: LowerError, PlanError, MechanismError, AccountingError, LedgerError);
through!(TrainingError: DataLedgerError, PersonsError);
through!(ClientKeyError: KeyError, KeyFileError, DecryptError, EvaluationKeyError);
through!(OneShotInferenceError: OneShotError, LayoutError);
