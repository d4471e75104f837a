//! What can be wrong with a message before anybody looks at its meaning.

use crate::{
    code::{ErrorCode, RpcError},
    v1::{KeyKind, ParameterSet},
};

/// A field of a message that cannot be converted into the value it stands for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConversionError {
    /// A field, or a case of a oneof, that has to be there is not.
    #[error("{field} is missing: expected {expected}")]
    Missing {
        /// The field's name in the schema.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A name outside the allowed pattern.
    #[error("{field} is {got:?}: expected [a-z0-9][a-z0-9._-]{{0,63}}")]
    Name {
        /// The field's name in the schema.
        field: &'static str,
        /// The name, cut at 80 characters.
        got: String,
    },
    /// A byte string or list of the wrong length.
    #[error("{field} has length {got}: expected {expected}")]
    Length {
        /// The field's name in the schema.
        field: &'static str,
        /// Its length.
        got: usize,
        /// The only length accepted.
        expected: usize,
    },
    /// A value outside its domain.
    #[error("{field} is {got}: expected {expected}")]
    Value {
        /// The field's name in the schema.
        field: &'static str,
        /// The value.
        got: String,
        /// The domain.
        expected: &'static str,
    },
}

impl RpcError for ConversionError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }
}

impl From<ConversionError> for tonic::Status {
    fn from(error: ConversionError) -> Self {
        crate::to_status(error)
    }
}

/// Takes a field that must be present.
///
/// # Errors
/// [`ConversionError::Missing`] when it is not.
pub fn required<T>(
    field: &'static str,
    expected: &'static str,
    value: Option<T>,
) -> Result<T, ConversionError> {
    value.ok_or(ConversionError::Missing { field, expected })
}

/// Reads a parameter set that this version knows.
///
/// # Errors
/// [`ConversionError::Value`] for an unspecified or unknown one.
pub fn parameter_set(value: i32) -> Result<ParameterSet, ConversionError> {
    match ParameterSet::try_from(value) {
        Ok(set @ ParameterSet::Glwe2048V1) => Ok(set),
        Ok(ParameterSet::Unspecified) | Err(_) => Err(ConversionError::Value {
            field: "parameter_set",
            got: value.to_string(),
            expected: "PARAMETER_SET_GLWE_2048_V1 (1)",
        }),
    }
}

/// Reads a kind of key that this version knows.
///
/// # Errors
/// [`ConversionError::Value`] for an unspecified or unknown one.
pub fn key_kind(value: i32) -> Result<KeyKind, ConversionError> {
    match KeyKind::try_from(value) {
        Ok(kind @ (KeyKind::Identity | KeyKind::Evaluation)) => Ok(kind),
        Ok(KeyKind::Unspecified) | Err(_) => Err(ConversionError::Value {
            field: "kind",
            got: value.to_string(),
            expected: "KEY_KIND_EVALUATION (2) or KEY_KIND_IDENTITY (3)",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_unknown_enum_values() {
        for value in [0, 2, -1] {
            assert!(matches!(parameter_set(value), Err(ConversionError::Value { .. })));
        }
        // 1 was a kind of an earlier release.
        for value in [0, 1, 4, -1] {
            assert!(matches!(key_kind(value), Err(ConversionError::Value { .. })));
        }
        assert_eq!(parameter_set(1), Ok(ParameterSet::Glwe2048V1));
        assert_eq!(key_kind(3), Ok(KeyKind::Identity));
        assert_eq!(key_kind(2), Ok(KeyKind::Evaluation));
    }

    #[test]
    fn rejects_a_missing_field_by_name() {
        let error = required::<()>("header", "a KeyHeader", None).unwrap_err();
        assert_eq!(error.to_string(), "header is missing: expected a KeyHeader");
    }
}
