//! Words of t bits packed without gaps, as the online rounds of recognition send them.
//!
//! Word i takes bits [i t, (i + 1) t) of a little-endian bit string; the unused bits of its last
//! byte are zero.

/// Bytes that `count` words of `bits` bits take.
pub const fn packed_bits_len(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Packs the low `bits` (1 to 32) of every word into `out`, which holds [`packed_bits_len`] bytes.
pub fn pack_bits(words: &[u32], bits: u32, out: &mut [u8]) {
    let mask = low_bits(bits);
    let mut pieces = out.chunks_mut(4);
    let mut put = |piece: u32| {
        if let Some(to) = pieces.next() {
            to.copy_from_slice(&piece.to_le_bytes()[..to.len()]);
        }
    };
    // Fewer than 32 bits wait at any time, so a word always fits.
    let (mut waiting, mut count) = (0u64, 0);
    for word in words {
        waiting |= u64::from(word & mask) << count;
        count += bits;
        if count >= 32 {
            put(waiting as u32);
            waiting >>= 32;
            count -= 32;
        }
    }
    put(waiting as u32);
}

/// Reads words of `bits` (1 to 32) bits from `bytes`, which holds [`packed_bits_len`] bytes.
pub fn unpack_bits(bytes: &[u8], bits: u32, words: &mut [u32]) {
    let mask = low_bits(bits);
    let (whole, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let mut pieces = whole.iter().chain(std::iter::once(&last));
    let (mut waiting, mut count) = (0u64, 0);
    for word in words {
        if count < bits {
            let piece = pieces.next().map_or(0, |piece| u32::from_le_bytes(*piece));
            waiting |= u64::from(piece) << count;
            count += 32;
        }
        *word = waiting as u32 & mask;
        waiting >>= bits;
        count -= bits;
    }
}

/// The mask of the low `bits` (1 to 32) of a word.
const fn low_bits(bits: u32) -> u32 {
    u32::MAX >> (32 - bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_lie_where_the_format_says(
            words in proptest::collection::vec(any::<u32>(), 0..70),
            bits in 1u32..=32,
        ) {
            let mut bytes = vec![0xff; packed_bits_len(words.len(), bits)];
            pack_bits(&words, bits, &mut bytes);
            let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1;
            let t = bits as usize;
            for (index, word) in words.iter().enumerate() {
                for place in 0..t {
                    prop_assert_eq!(u32::from(bit(index * t + place)), word >> place & 1);
                }
            }
            for unused in words.len() * t..bytes.len() * 8 {
                prop_assert_eq!(bit(unused), 0);
            }
            let mut back = vec![0; words.len()];
            unpack_bits(&bytes, bits, &mut back);
            let kept: Vec<u32> = words.iter().map(|word| word & low_bits(bits)).collect();
            prop_assert_eq!(back, kept);
        }
    }
}
