//! From the levels that files hold to the pixels that networks take.

/// A level, 0 (black) to 255 (white), as a pixel in [0, 1].
#[inline]
pub fn pixel(level: u8) -> f32 {
    f32::from(level) * (1.0 / 255.0)
}

/// Levels as pixels in [0, 1].
pub fn pixels(levels: &[u8]) -> Vec<f32> {
    levels.iter().copied().map(pixel).collect()
}
