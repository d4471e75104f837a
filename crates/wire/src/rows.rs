//! Ciphertext rows: seeded bodies on the way up, rounded masks and bodies on the way down.

use sphinx_linalg::{OutputRows, POLYNOMIAL_SIZE, ROW_WORDS, Width, Word, pack};

use crate::Mismatch;

/// Rows per uploaded message: 0.5 MiB at four bytes a word, 0.8 MB at six.
pub const ROWS_PER_UPLOAD: usize = 64;

/// Bytes per word of rows in one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowForm {
    /// Of uploaded bodies; masks travel as 16-byte seeds.
    pub upload: Width,
    /// Of the masks of results.
    pub mask: Width,
    /// Of the bodies of results.
    pub body: Width,
}

/// Training, modulo 2^32: uploads whole, results rounded to what the noise leaves of them
/// (docs/cryptography.md).
pub const TRAINING_ROWS: RowForm =
    RowForm { upload: Width::Four, mask: Width::Three, body: Width::Two };

/// Preparation of tickets, modulo 2^64. At these widths rounding adds about as much noise as the
/// encryption has.
pub const TICKET_ROWS: RowForm =
    RowForm { upload: Width::Six, mask: Width::Five, body: Width::Five };

/// Packed result rows: their bytes, row after row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRows {
    /// Masks, N words of [`RowForm::mask`] bytes per row.
    pub masks: Vec<u8>,
    /// Bodies, N words of [`RowForm::body`] bytes per row.
    pub bodies: Vec<u8>,
}

impl RowForm {
    /// Bytes of a result row's mask.
    pub const fn mask_bytes(self) -> usize {
        POLYNOMIAL_SIZE * self.mask.bytes()
    }

    /// Bytes of a result row's body.
    pub const fn body_bytes(self) -> usize {
        POLYNOMIAL_SIZE * self.body.bytes()
    }

    /// Rounds the words of result rows to their widths.
    pub fn pack<W: Word>(self, outputs: &OutputRows<W>) -> PackedRows {
        let (mask_bytes, body_bytes) = (self.mask_bytes(), self.body_bytes());
        let mut masks = vec![0; outputs.rows.len() * mask_bytes];
        let mut bodies = vec![0; outputs.rows.len() * body_bytes];
        let packed = masks.chunks_exact_mut(mask_bytes).zip(bodies.chunks_exact_mut(body_bytes));
        for (words, (mask, body)) in outputs.words.chunks_exact(ROW_WORDS).zip(packed) {
            let (mask_words, body_words) = words.split_at(POLYNOMIAL_SIZE);
            pack(mask_words, self.mask, mask);
            pack(body_words, self.body, body);
        }
        PackedRows { masks, bodies }
    }
}

/// The result rows that have not come yet. Rows come in any order, each once.
#[derive(Debug, Clone)]
pub struct AwaitedRows {
    form: RowForm,
    seen: Vec<bool>,
    missing: usize,
}

impl AwaitedRows {
    /// All of `count` rows.
    pub fn new(form: RowForm, count: usize) -> Self {
        Self { form, seen: vec![false; count], missing: count }
    }

    /// Number of rows that have not come yet.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Checks a message's rows before room is made for them (a row's number takes a byte, the row
    /// thousands) and marks them as come.
    ///
    /// # Errors
    /// [`Mismatch`] for a row that came before or does not exist, or bytes that are not the rows'.
    pub fn take(&mut self, rows: &[u32], masks: usize, bodies: usize) -> Result<(), Mismatch> {
        let (mask_bytes, body_bytes) = (self.form.mask_bytes(), self.form.body_bytes());
        let count = rows.len();
        if (masks, bodies) != (count * mask_bytes, count * body_bytes) {
            let got = format!("{count} rows in {masks} and {bodies} bytes");
            return Err(Mismatch::new(got, format!("{mask_bytes} and {body_bytes} bytes each")));
        }
        let total = self.seen.len();
        for &row in rows {
            match self.seen.get_mut(row as usize) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return Err(Mismatch::new(format!("row {row} again"), "each row once")),
                None => return Err(Mismatch::new(format!("row {row}"), format!("below {total}"))),
            }
        }
        self.missing -= count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sphinx_linalg::unpack;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn rows_survive_to_half_a_step(seed in any::<u32>()) {
            let words: Vec<u32> =
                (0..2 * ROW_WORDS as u32).map(|i| seed.wrapping_add(i).wrapping_mul(2_654_435_761)).collect();
            let packed = TRAINING_ROWS.pack(&OutputRows { rows: vec![7, 3], words: words.clone() });
            prop_assert_eq!(packed.masks.len(), 2 * TRAINING_ROWS.mask_bytes());
            prop_assert_eq!(packed.bodies.len(), 2 * TRAINING_ROWS.body_bytes());
            for row in 0..2 {
                let mut mask = vec![0u32; POLYNOMIAL_SIZE];
                let bytes = packed.masks.chunks(TRAINING_ROWS.mask_bytes()).nth(row).unwrap();
                unpack(bytes, TRAINING_ROWS.mask, &mut mask);
                let sent = words.chunks(POLYNOMIAL_SIZE).nth(2 * row).unwrap();
                let worst = mask.iter().zip(sent).map(|(a, b)| a.wrapping_sub(*b).cast_signed().abs());
                prop_assert!(worst.max().unwrap() <= 1 << 7);
            }
        }
    }

    #[test]
    fn rejects_rows_twice_beyond_the_last_or_cut_short() {
        let (mask, body) = (TICKET_ROWS.mask_bytes(), TICKET_ROWS.body_bytes());
        let mut awaited = AwaitedRows::new(TICKET_ROWS, 3);
        assert_eq!(awaited.take(&[2, 0], 2 * mask, 2 * body), Ok(()));
        assert_eq!(awaited.missing(), 1);
        for (rows, masks, text) in [
            (vec![0], mask, "row 0 again"),
            (vec![3], mask, "row 3, expected below 3"),
            (vec![1], mask - 1, "1 rows in 10239 and 10240 bytes"),
            (vec![1, 1], 2 * mask, "row 1 again"),
        ] {
            let error = awaited.clone().take(&rows, masks, rows.len() * body).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        assert_eq!(awaited.take(&[1], mask, body), Ok(()));
        assert_eq!(awaited.missing(), 0);
    }
}
