//! A payload that is not what the other side announced or the schema allows.

/// A payload that does not have the agreed form: what came and what was expected, in words with
/// numbers. It never holds the contents of a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{got}, expected {expected}")]
pub struct Mismatch {
    /// Kind, place and size of what came.
    pub got: String,
    /// What the form asks for at this place.
    pub expected: String,
}

impl Mismatch {
    pub(crate) fn new(got: impl ToString, expected: impl ToString) -> Self {
        Self { got: got.to_string(), expected: expected.to_string() }
    }
}
