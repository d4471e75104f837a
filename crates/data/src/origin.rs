//! What an image is, whatever becomes of it.

use sha2::{Digest, Sha256};
use sphinx_network::Shape;

/// What an image was before any pipeline: [`origin`] of its decoded pixels.
pub type Origin = [u8; 32];

/// SHA-256 of an image's shape and levels `[channel][row][column]`: the same for the same pixels,
/// whatever file they came in.
pub fn origin(shape: Shape, levels: &[u8]) -> Origin {
    let mut hash = Sha256::new();
    for side in [shape.channels, shape.height, shape.width] {
        hash.update((side as u64).to_le_bytes());
    }
    hash.update(levels);
    hash.finalize().into()
}
