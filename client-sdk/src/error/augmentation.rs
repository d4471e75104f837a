//! What can be wrong with copies of examples.

/// What is wrong with an [`Augmentation`](crate::Augmentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AugmentationError {
    /// No copies, a single one, more than are supported, or a number that does not fill a block.
    #[error(
        "{got} copies of each example: expected 2, 4, 8 or 16, which fill a block of 2048 slots, or no augmentation"
    )]
    Copies {
        /// Copies asked for.
        got: u64,
    },
    /// Copies that are all alike, or moved out of sight.
    #[error(
        "copies moved by up to {got} pixels: expected 1 to 4; unmoved copies would all be alike, and further ones lose \
         the image"
    )]
    Shift {
        /// Pixels asked for.
        got: u8,
    },
}
