//! Decryption under keys that share masks.

use rayon::prelude::*;
use sphinx_linalg::unpack;

use super::{BlockKeys, GROUP, Scratch, SpanTally, Tally, span};
use crate::decrypt::DecryptError;

impl BlockKeys {
    /// Decrypts result rows modulo 2^t and hands each to `decode` with its number, its place and
    /// the centred integers of all slots, in [-2^(t-1), 2^(t-1)): the product of the weights with
    /// what was encrypted, noise included. They are added to the tally.
    ///
    /// Nothing derived from them may be released before the tally agrees with that of the inputs.
    ///
    /// Expected cost per row and thread: one transform of the mask; per block one back, and three
    /// multiply-adds per slot for the tally.
    ///
    /// # Errors
    /// [`DecryptError::Length`] if the byte counts are not those of as many rows as places and
    /// numbers.
    pub fn decrypt_rows<P: Send>(
        &self,
        (masks, bodies): (&[u8], &[u8]),
        numbers: &[u32],
        places: Vec<P>,
        tally: &mut Tally,
        decode: impl Fn(u32, P, &[i32]) + Sync,
    ) -> Result<(), DecryptError> {
        let (rows, half, body_row) = (places.len(), self.half_bytes(), self.row_bytes());
        if masks.len() != rows * half || bodies.len() != rows * body_row || numbers.len() != rows {
            let (masks, bodies, mask_row) = (masks.len(), bodies.len(), half);
            return Err(DecryptError::Length { masks, bodies, rows, mask_row, body_row });
        }
        let (span, coefficients) = (span(rows), &tally.coefficients);
        let mut places = places;
        let mut spans = Vec::new();
        while !places.is_empty() {
            let rest = places.split_off(places.len().min(span));
            spans.push(std::mem::replace(&mut places, rest));
        }
        let sums: Vec<SpanTally> = spans
            .into_par_iter()
            .zip(numbers.par_chunks(span))
            .zip(masks.par_chunks(span * half).zip(bodies.par_chunks(span * body_row)))
            .map(|((places, numbers), (masks, bodies))| {
                let mut scratch = Scratch::new(self.profile.dimension(), self.slots());
                let mut sums = SpanTally::new(self.slots());
                let groups = masks.chunks(GROUP * half).zip(bodies.chunks(GROUP * body_row));
                let mut places = places.into_iter();
                for (numbers, (masks, bodies)) in numbers.chunks(GROUP).zip(groups) {
                    let halves = masks.chunks_exact(half).zip(bodies.chunks_exact(body_row));
                    let rows = numbers.iter().zip(&mut places).zip(halves).enumerate();
                    for (index, ((&number, place), (mask, bodies))) in rows {
                        decode(number, place, self.decrypt_row(index, mask, bodies, &mut scratch));
                    }
                    let rows = &scratch.rows[..numbers.len() * self.slots()];
                    sums.add(coefficients, |row| numbers[row] as usize, rows);
                }
                sums
            })
            .collect();
        sums.into_iter().for_each(|sums| tally.merge(sums));
        Ok(())
    }

    /// Leaves the integers in a scratch row.
    fn decrypt_row<'a>(
        &self,
        index: usize,
        mask_bytes: &[u8],
        body_bytes: &[u8],
        scratch: &'a mut Scratch,
    ) -> &'a [i32] {
        let Scratch { mask, transformed, product, body, rows, .. } = scratch;
        let row = &mut rows[index * self.slots()..][..self.slots()];
        let (width, unused) = (self.profile.width(), self.profile.unused_bits());
        unpack(mask_bytes, width, mask);
        self.transform.forward(mask, transformed);
        let size = self.profile.dimension();
        let blocks = row.chunks_exact_mut(size).zip(body_bytes.chunks_exact(self.half_bytes()));
        for (key, (values, bytes)) in self.keys.iter().zip(blocks) {
            unpack(bytes, width, body);
            key.accumulate_transformed(transformed, true, body, product);
            values
                .iter_mut()
                .zip(body.iter())
                .for_each(|(value, word)| *value = word.cast_signed() >> unused);
        }
        row
    }
}
