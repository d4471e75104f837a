//! Why no features were computed.

use crate::scattering::ScatteringError;

/// A network or an image that gives no features. Names sizes only, never a pixel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// An image of another size than the network takes.
    #[error("the image has {got} pixels, the network takes {expected}")]
    ImageLength {
        /// Pixels of the image.
        got: usize,
        /// Pixels of the network's input.
        expected: usize,
    },
    /// The network's images cannot be scattered.
    #[error(transparent)]
    Scattering(#[from] ScatteringError),
}
