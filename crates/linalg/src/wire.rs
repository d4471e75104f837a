//! Words on the wire, rounded to their top bytes.
//!
//! The words of one row are sent as planes: first the most significant 4-byte, then 2-byte, then
//! 1-byte pieces, as the width needs them (6 = 4 + 2, 5 = 4 + 1, 3 = 2 + 1). Every plane is a plain
//! little-endian array, so that packing and unpacking are narrowing and widening copies.

use crate::word::Word;

/// Bytes of one word on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Top 16 bits.
    Two,
    /// Top 24 bits.
    Three,
    /// Top 32 bits.
    Four,
    /// Top 40 bits.
    Five,
    /// Top 48 bits.
    Six,
}

impl Width {
    /// Bytes per word.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
            Self::Five => 5,
            Self::Six => 6,
        }
    }

    /// The planes, most significant first: 4, 2 and 1 bytes as needed.
    const fn planes(self) -> &'static [usize] {
        match self {
            Self::Two => &[2],
            Self::Three => &[2, 1],
            Self::Four => &[4],
            Self::Five => &[4, 1],
            Self::Six => &[4, 2],
        }
    }

    /// The step, in units of the word's lowest bit, to which a word is rounded.
    pub fn step<W: Word>(self) -> f64 {
        f64::from(W::BITS - 8 * self.bytes() as u32).exp2()
    }
}

/// Rounds every word to its top `width` bytes and writes the planes to `out`, which holds
/// `words.len() * width.bytes()` bytes.
pub fn pack<W: Word>(words: &[W], width: Width, out: &mut [u8]) {
    let dropped = W::BITS - 8 * width.bytes() as u32;
    let half = if dropped == 0 { W::default() } else { W::from_u64(1 << (dropped - 1)) };
    let (mut shift, mut rest) = (W::BITS, out);
    for &plane in width.planes() {
        shift -= 8 * plane as u32;
        let (head, tail) = rest.split_at_mut(plane * words.len());
        pack_plane(words, half, shift, plane, head);
        rest = tail;
    }
}

/// Reads planes written by [`pack`]; the dropped low bits are zero. `bytes` must hold
/// `words.len() * width.bytes()` bytes.
pub fn unpack<W: Word>(bytes: &[u8], width: Width, words: &mut [W]) {
    words.fill(W::default());
    let (mut shift, mut rest) = (W::BITS, bytes);
    for &plane in width.planes() {
        shift -= 8 * plane as u32;
        let (head, tail) = rest.split_at(plane * words.len());
        unpack_plane(head, shift, plane, words);
        rest = tail;
    }
}

fn pack_plane<W: Word>(words: &[W], half: W, shift: u32, plane: usize, out: &mut [u8]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let pieces = words.iter().map(|word| word.add(half).to_u64() >> shift);
            match plane {
                4 => out.as_chunks_mut::<4>().0.iter_mut().zip(pieces).for_each(|(to, piece)| {
                    *to = (piece as u32).to_le_bytes();
                }),
                2 => out.as_chunks_mut::<2>().0.iter_mut().zip(pieces).for_each(|(to, piece)| {
                    *to = (piece as u16).to_le_bytes();
                }),
                _ => out.iter_mut().zip(pieces).for_each(|(to, piece)| *to = piece as u8),
            }
        },
    );
}

fn unpack_plane<W: Word>(bytes: &[u8], shift: u32, plane: usize, words: &mut [W]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || match plane {
            4 => words.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(word, piece)| {
                *word = word.add(W::from_u64(u64::from(u32::from_le_bytes(*piece)) << shift));
            }),
            2 => words.iter_mut().zip(bytes.as_chunks::<2>().0).for_each(|(word, piece)| {
                *word = word.add(W::from_u64(u64::from(u16::from_le_bytes(*piece)) << shift));
            }),
            _ => words.iter_mut().zip(bytes).for_each(|(word, &piece)| {
                *word = word.add(W::from_u64(u64::from(piece) << shift));
            }),
        },
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn worst_error<W: Word>(words: &[W], width: Width) -> u64 {
        let mut bytes = vec![0; words.len() * width.bytes()];
        pack(words, width, &mut bytes);
        let mut back = vec![W::default(); words.len()];
        unpack(&bytes, width, &mut back);
        let error = |(a, b): (&W, &W)| {
            W::from_u64(a.to_u64().wrapping_sub(b.to_u64())).to_signed().unsigned_abs()
        };
        words.iter().zip(&back).map(error).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn rounds_to_nearest_32(words in proptest::collection::vec(any::<u32>(), 1..70)) {
            prop_assert_eq!(worst_error(&words, Width::Four), 0);
            prop_assert!(worst_error(&words, Width::Three) <= 1 << 7);
            prop_assert!(worst_error(&words, Width::Two) <= 1 << 15);
        }

        #[test]
        fn rounds_to_nearest_64(words in proptest::collection::vec(any::<u64>(), 1..70)) {
            prop_assert!(worst_error(&words, Width::Six) <= 1 << 15);
            prop_assert!(worst_error(&words, Width::Five) <= 1 << 23);
        }
    }
}
