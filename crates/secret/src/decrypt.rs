//! Decryption of result rows.

use rayon::prelude::*;
use sphinx_linalg::{POLYNOMIAL_SIZE, Width, Word, unpack};
use zeroize::Zeroizing;

use crate::key::SecretKey;

/// Why result rows cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Masks and bodies do not hold the same number of whole rows.
    #[error(
        "{masks} bytes of masks and {bodies} bytes of bodies, expected {rows} rows of {mask_row} and {body_row}"
    )]
    Length {
        /// Bytes of masks.
        masks: usize,
        /// Bytes of bodies.
        bodies: usize,
        /// Rows expected.
        rows: usize,
        /// Bytes of a row's mask.
        mask_row: usize,
        /// Bytes of a row's body.
        body_row: usize,
    },
}

impl SecretKey {
    /// Decrypts `rows` packed rows and hands every row's phase (message plus noise, N words) to
    /// `decode`, which writes one output row of N values.
    ///
    /// Expected cost per row modulo 2^32: one transform forth and one back. Parallel over rows.
    ///
    /// # Errors
    /// [`DecryptError::Length`] if the byte counts do not fit.
    pub fn decrypt_rows<W: Word, T: Send>(
        &self,
        masks: (&[u8], Width),
        bodies: (&[u8], Width),
        out: &mut [T],
        decode: impl Fn(usize, &[W], &mut [T]) + Sync,
    ) -> Result<(), DecryptError> {
        let places = out.chunks_exact_mut(POLYNOMIAL_SIZE).collect();
        self.decrypt_rows_into(masks, bodies, places, decode)
    }

    /// As [`Self::decrypt_rows`], each row to its own place of N values.
    ///
    /// # Errors
    /// [`DecryptError::Length`] if the byte counts are not those of as many rows as places.
    pub fn decrypt_rows_into<W: Word, T: Send>(
        &self,
        masks: (&[u8], Width),
        bodies: (&[u8], Width),
        places: Vec<&mut [T]>,
        decode: impl Fn(usize, &[W], &mut [T]) + Sync,
    ) -> Result<(), DecryptError> {
        let rows = places.len();
        let mask_row = POLYNOMIAL_SIZE * masks.1.bytes();
        let body_row = POLYNOMIAL_SIZE * bodies.1.bytes();
        if masks.0.len() != rows * mask_row || bodies.0.len() != rows * body_row {
            let (masks, bodies) = (masks.0.len(), bodies.0.len());
            return Err(DecryptError::Length { masks, bodies, rows, mask_row, body_row });
        }
        places
            .into_par_iter()
            .zip(masks.0.par_chunks_exact(mask_row).zip(bodies.0.par_chunks_exact(body_row)))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (row, (out, (mask, body)))| {
                unpack(mask, masks.1, &mut scratch.mask);
                unpack(body, bodies.1, &mut scratch.body);
                self.decrypt_words(&scratch.mask, &mut scratch.body, &mut scratch.transform);
                decode(row, &scratch.body, out);
            });
        Ok(())
    }

    /// Turns a body into its phase: body - mask · key. `scratch` has N words.
    pub fn decrypt_words<W: Word>(&self, mask: &[W], body: &mut [W], scratch: &mut [u64]) {
        self.product.accumulate(mask, true, body, scratch);
    }
}

struct Scratch<W: Word> {
    mask: Vec<W>,
    body: Zeroizing<Vec<W>>,
    transform: Zeroizing<Vec<u64>>,
}

impl<W: Word> Default for Scratch<W> {
    fn default() -> Self {
        Self {
            mask: vec![W::default(); POLYNOMIAL_SIZE],
            body: Zeroizing::new(vec![W::default(); POLYNOMIAL_SIZE]),
            transform: Zeroizing::new(vec![0; POLYNOMIAL_SIZE]),
        }
    }
}
