//! What can be wrong with evaluation keys.

/// Why bytes are no evaluation keys of a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationKeyError {
    /// Longer than any evaluation keys.
    #[error("{got} bytes of evaluation keys, at most {limit} are accepted")]
    TooLong {
        /// Bytes found.
        got: usize,
        /// Most bytes.
        limit: usize,
    },
    /// Not in the serialised form, or of another type: the header or the encoding is wrong.
    #[error("not the evaluation keys of a one-shot recognition: {reason}")]
    Format {
        /// What the deserialisation met.
        reason: String,
    },
    /// Bytes are left over behind the keys.
    #[error("{got} bytes behind the end of the evaluation keys, expected none")]
    Trailing {
        /// Bytes left.
        got: usize,
    },
    /// Made for a profile that this version does not know.
    #[error(
        "evaluation keys of profile {got:?}, expected \"standard\" or \"packing\": make keys of one of them"
    )]
    Profile {
        /// The name found.
        got: String,
    },
    /// With other parts than the profile has.
    #[error(
        "evaluation keys of profile {profile:?} with other parts than it has: make the keys again"
    )]
    Parts {
        /// The profile that they name.
        profile: &'static str,
    },
    /// A part has another size than its profile says.
    #[error("the {part} has {got} as {field}, its profile has {expected}")]
    Shape {
        /// The part.
        part: &'static str,
        /// What differs.
        field: &'static str,
        /// What was found.
        got: usize,
        /// What the profile says.
        expected: usize,
    },
    /// A part has another modulus than that of its words.
    #[error(
        "the {part} has another {field} than 2 to the bits of its words, which its profile has"
    )]
    Modulus {
        /// The part.
        part: &'static str,
        /// What differs.
        field: &'static str,
    },
    /// The keys could not be written.
    #[error("cannot serialise evaluation keys: {reason}")]
    Serialise {
        /// Why.
        reason: String,
    },
}
