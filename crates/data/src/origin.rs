//! What an image is, whatever becomes of it.

use sha2::{Digest, Sha256};
use sphinx_network::Shape;

/// What an image was before any pipeline: [`origin`] of its decoded pixels.
pub type Origin = [u8; 32];

/// SHA-256 of an image's shape and levels `[channel][row][column]`: the same for the same pixels,
/// whatever file they came in. Grey in three equal channels is grey in one.
pub fn origin(shape: Shape, levels: &[u8]) -> Origin {
    let Shape { mut channels, height, width } = shape;
    let mut levels = levels;
    let mut planes = levels.chunks_exact((height * width).max(1));
    if let (3, [Some(red), Some(green), Some(blue)]) = (channels, [(); 3].map(|()| planes.next()))
        && red == green
        && green == blue
    {
        (channels, levels) = (1, red);
    }
    let mut hash = Sha256::new();
    for side in [channels, height, width] {
        hash.update((side as u64).to_le_bytes());
    }
    hash.update(levels);
    hash.finalize().into()
}
