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

/// By how many bits numbers of 16 bits are too long for a level, if `largest` is the largest: they
/// hold 8, 12 or 16 bits, whatever the room that a file has for them.
pub(crate) fn depth_shift(largest: u16) -> u32 {
    match largest {
        0..=0xff => 0,
        0x100..=0xfff => 4,
        0x1000.. => 8,
    }
}
