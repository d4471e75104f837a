//! Why a transform was refused.

/// Sizes outside the limits, or slices that do not have them. Names sizes only, never a pixel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScatteringError {
    /// A size is out of range.
    #[error("{field} is {got}, expected {least} to {most}")]
    Size {
        /// Which size.
        field: &'static str,
        /// Its value.
        got: usize,
        /// Smallest allowed.
        least: usize,
        /// Largest allowed.
        most: usize,
    },
    /// An image has too few or too many pixels, or a slice for features has not their number.
    #[error("got {got} {what}, expected {expected}")]
    Length {
        /// What was counted.
        what: &'static str,
        /// Number given.
        got: usize,
        /// Number that fits.
        expected: usize,
    },
    /// The workspace was made by another transform.
    #[error(
        "the workspace was made for a transform of other sizes; make one with Scattering::workspace"
    )]
    Workspace,
    /// The features cannot be cut into as many groups of equal size.
    #[error(
        "{got} features in {groups} groups, expected a positive number of groups that divides them"
    )]
    Groups {
        /// Number of features.
        got: usize,
        /// Number of groups.
        groups: usize,
    },
}
