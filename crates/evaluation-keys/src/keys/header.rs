//! The header of serialised keys, for who has only their beginning at hand.

use super::{EvaluationKeyError, EvaluationKeys};

/// The type that serialised keys name in their header. It is part of the form, so it stays what it
/// was when the first keys were written, whichever crate the type lives in.
pub(super) const TYPE_NAME: &str = "sphinx_bootstrap::EvaluationKeys";

impl EvaluationKeys {
    /// Refuses bytes by their beginning, unless its header names evaluation keys. Nothing behind
    /// the header is looked at: that is for [`EvaluationKeys::from_bytes`].
    ///
    /// # Errors
    /// [`EvaluationKeyError::Format`]. It does not repeat what the header names instead, which may
    /// be anything, a piece of a secret too.
    pub fn check_header(beginning: &[u8]) -> Result<(), EvaluationKeyError> {
        if type_name(beginning) == Some(TYPE_NAME.as_bytes()) {
            return Ok(());
        }
        Err(EvaluationKeyError::Format { reason: format!("no header that names {TYPE_NAME}") })
    }
}

/// The type in a header of tfhe's safe serialisation: the header's version, a number for the mode,
/// the mode's version, the name; texts behind their lengths, numbers little-endian.
fn type_name(beginning: &[u8]) -> Option<&[u8]> {
    let (_version, rest) = text(beginning)?;
    let (_mode, rest) = rest.split_first_chunk::<4>()?;
    let (_version, rest) = text(rest)?;
    text(rest).map(|(name, _)| name)
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}
