//! Masked integers of images, and their products, in an online round.
//!
//! Every image's words are packed without gaps in t bits each, and every image starts at a byte.

use sphinx_linalg::packed_bits_len;

use crate::Mismatch;

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
    /// Bits t of the modulus of all words.
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

    /// Checks the size of a request's values.
    ///
    /// # Errors
    /// [`Mismatch`] unless they are those of `images` images.
    pub fn check_query(self, images: usize, values: usize) -> Result<(), Mismatch> {
        check(values, images.saturating_mul(self.query_bytes()))
    }

    /// Checks the size of a reply's values.
    ///
    /// # Errors
    /// [`Mismatch`] unless they are those of `images` images.
    pub fn check_result(self, images: usize, values: usize) -> Result<(), Mismatch> {
        check(values, images.saturating_mul(self.result_bytes()))
    }
}

fn check(got: usize, expected: usize) -> Result<(), Mismatch> {
    if got == expected {
        return Ok(());
    }
    Err(Mismatch::new(format!("{got} bytes of values"), format!("{expected} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_whole_images() {
        let form = MaskedForm { inputs: 784, outputs: 100, modulus_bits: 29 };
        assert_eq!((form.query_bytes(), form.result_bytes()), (2842, 363));
        assert_eq!(form.images_within(MAX_VALUES), MAX_VALUES / 2842);
        assert_eq!(form.check_query(3, 3 * 2842), Ok(()));
        assert_eq!(form.check_result(2, 726), Ok(()));
    }

    #[test]
    fn rejects_values_of_another_size() {
        let form = MaskedForm { inputs: 10, outputs: 3, modulus_bits: 32 };
        let error = form.check_query(2, 79).unwrap_err();
        assert_eq!(error.to_string(), "79 bytes of values, expected 80 bytes");
        assert!(form.check_query(usize::MAX, 79).is_err());
        assert!(form.check_result(1, 13).is_err());
    }
}
