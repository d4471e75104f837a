//! Values to ciphertext rows and back, under a secret key.

use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;
use sphinx_secret::{SecretKey, SeededRows};
use sphinx_wire::rows::{ROWS_PER_UPLOAD, TRAINING_ROWS};
use sphinx_wire::training::{decode, encode};
use zeroize::Zeroizing;

use crate::error::ClientError;

/// Encrypts what goes up and decrypts what comes down.
pub(crate) struct RowCodec<'a> {
    pub key: &'a SecretKey,
    pub rng: &'a mut ChaCha20Rng,
}

impl RowCodec<'_> {
    /// Encrypts the rows of a tensor at `scale` integers per unit and hands them on, some rows at
    /// a time and in order, each with the number of its first row.
    pub fn encrypt(
        &mut self,
        input: &Tensor,
        scale: f64,
        mut send: impl FnMut(usize, SeededRows) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let uploads = input.as_slice().chunks(ROWS_PER_UPLOAD * SLOTS);
        for (first_row, values) in (0..).step_by(ROWS_PER_UPLOAD).zip(uploads) {
            let mut messages = Zeroizing::new(vec![0u32; values.len()]);
            messages
                .par_chunks_mut(SLOTS)
                .zip(values.par_chunks(SLOTS))
                .for_each(|(messages, values)| encode(values, scale, messages));
            send(first_row, self.key.encrypt_rows(&messages, TRAINING_ROWS.upload, self.rng))?;
        }
        Ok(())
    }

    /// Decrypts rows, each to the place given for it; `scale` says the integers per unit of a row
    /// by its index.
    pub fn decrypt(
        &self,
        masks: &[u8],
        bodies: &[u8],
        places: Vec<&mut [f32]>,
        scale: impl Fn(usize) -> f64 + Sync,
    ) -> Result<(), ClientError> {
        let (masks, bodies) = ((masks, TRAINING_ROWS.mask), (bodies, TRAINING_ROWS.body));
        let decode = |index, phase: &[u32], out: &mut [f32]| decode(phase, scale(index), out);
        Ok(self.key.decrypt_rows_into(masks, bodies, places, decode)?)
    }
}
