//! Errors as exceptions, each with the advice that the command gives.

use pyo3::{PyErr, import_exception};
use sphinx_client::workspace::WorkspaceError;
use sphinx_client::{ClientError, TrainingError};

import_exception!(sphinx_client._errors, SphinxError);
import_exception!(sphinx_client._errors, ServiceError);
import_exception!(sphinx_client._errors, InputError);
import_exception!(sphinx_client._errors, PrivacyError);
import_exception!(sphinx_client._errors, TrustError);

/// Any error of the SDK on its way to Python.
pub enum Failure {
    Sdk(WorkspaceError),
    Input(String),
}

impl<E: Into<WorkspaceError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Sdk(error.into())
    }
}

impl Failure {
    /// An argument that cannot be used.
    pub fn input(text: impl std::fmt::Display) -> Self {
        Self::Input(text.to_string())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Sdk(error) => error,
            Failure::Input(text) => return InputError::new_err(text),
        };
        let advice = error.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        let text = format!("{error}{advice}");
        let WorkspaceError::Client(error) = error else { return SphinxError::new_err(text) };
        if matches!(error, ClientError::Channel(_)) {
            ServiceError::new_err(text)
        } else if matches!(error, ClientError::State(_) | ClientError::Memory(_)) {
            TrustError::new_err(text)
        } else if is_privacy(&error) {
            PrivacyError::new_err(text)
        } else if is_input(&error) {
            InputError::new_err(text)
        } else {
            SphinxError::new_err(text)
        }
    }
}

fn is_privacy(error: &ClientError) -> bool {
    let ClientError::Training(error) = error else { return false };
    matches!(
        error,
        TrainingError::PrivacyPlan(_)
            | TrainingError::Accounting(_)
            | TrainingError::Ledger(_)
            | TrainingError::Data(_)
    )
}

fn is_input(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Data(_)
            | ClientError::Name(_)
            | ClientError::Spec(_)
            | ClientError::Recognition(_)
            | ClientError::Training(TrainingError::Shape { .. } | TrainingError::Classes { .. })
    )
}

/// An argument that cannot be used.
pub fn unusable(text: impl std::fmt::Display) -> PyErr {
    Failure::input(text).into()
}
