//! Masked integers of images, and their products, in an online round.
//!
//! Every image's words are packed without gaps in t bits each, and every image starts at a byte.

use sphinx_linalg::{pack_bits, packed_bits_len, unpack_bits};

/// Largest `values` of a request or a reply, bytes; below the transport's 4 MiB per message.
pub const MAX_VALUES: usize = 3 << 20;

/// `values` that a client sends at most in one message when it has many images, bytes: small
/// enough that several messages are under way while one is computed.
pub const GROUP_VALUES: usize = MAX_VALUES / 2;

/// Sizes of one stage's round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedForm {
    /// Scalars of an image that enter the stage.
    pub inputs: usize,
    /// Scalars of an image that leave it.
    pub outputs: usize,
    /// Bits t (1 to 32) of the modulus of all words.
    pub modulus_bits: u32,
}

impl MaskedForm {
    /// Bytes of one image on the way up.
    pub fn query_bytes(self) -> usize {
        packed_bits_len(self.inputs, self.modulus_bits)
    }

    /// Bytes of one image on the way down.
    pub fn result_bytes(self) -> usize {
        packed_bits_len(self.outputs, self.modulus_bits)
    }

    /// The most images whose values take at most `bytes` in either direction.
    pub fn images_within(self, bytes: usize) -> usize {
        bytes / self.query_bytes().max(self.result_bytes()).max(1)
    }

    /// Writes one image's words modulo 2^t.
    pub fn pack(self, words: &[u32], bytes: &mut [u8]) {
        pack_bits(words, self.modulus_bits, bytes);
    }

    /// Reads one image's words.
    pub fn unpack(self, bytes: &[u8], words: &mut [u32]) {
        unpack_bits(bytes, self.modulus_bits, words);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_those_of_whole_images() {
        let form = MaskedForm { inputs: 784, outputs: 100, modulus_bits: 29 };
        assert_eq!((form.query_bytes(), form.result_bytes()), (2842, 363));
        assert_eq!(form.images_within(MAX_VALUES), MAX_VALUES / 2842);
        assert_eq!(form.images_within(2841), 0);
    }

    proptest! {
        #[test]
        fn words_survive_modulo_two_to_the_t(
            words in proptest::collection::vec(any::<u32>(), 1..90),
            modulus_bits in 1u32..=32,
        ) {
            let form = MaskedForm { inputs: words.len(), outputs: 1, modulus_bits };
            let mut bytes = vec![0; form.query_bytes()];
            form.pack(&words, &mut bytes);
            let mut back = vec![0; words.len()];
            form.unpack(&bytes, &mut back);
            let low = u32::MAX >> (32 - modulus_bits);
            prop_assert!(words.iter().zip(&back).all(|(word, back)| word & low == *back));
        }
    }
}
