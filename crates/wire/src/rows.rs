//! Ciphertext rows: seeded bodies on the way up, masks and bodies on the way down. A row has one
//! mask and the bodies of all blocks.

use sphinx_linalg::{OutputRows, POLYNOMIAL_SIZE, Profile, Width, Word, pack};

use crate::Mismatch;

/// Bodies per uploaded message: 0.5 MiB at four bytes a word, 0.8 MB at six.
const BODIES_PER_UPLOAD: usize = 64;

/// Rows per uploaded message, with so many bodies each.
pub const fn rows_per_upload(bodies: usize) -> usize {
    let rows = BODIES_PER_UPLOAD / bodies;
    if rows == 0 { 1 } else { rows }
}

/// Sizes of rows in one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowForm {
    /// N: words of a mask, and of a body.
    pub dimension: usize,
    /// Of uploaded bodies; masks travel as 16-byte seeds.
    pub upload: Width,
    /// Of the masks of results.
    pub mask: Width,
    /// Of the bodies of results.
    pub body: Width,
}

/// Training: whole words, because only they can be checked (docs/security.md).
pub const fn training_rows(profile: Profile) -> RowForm {
    let width = profile.width();
    RowForm { dimension: profile.dimension(), upload: width, mask: width, body: width }
}

/// Preparation of tickets, modulo 2^64. At these widths rounding adds about as much noise as the
/// encryption has.
pub const TICKET_ROWS: RowForm = RowForm {
    dimension: POLYNOMIAL_SIZE,
    upload: Width::Six,
    mask: Width::Five,
    body: Width::Five,
};

/// Packed result rows: their bytes, row after row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRows {
    /// Masks, N words of [`RowForm::mask`] bytes per row.
    pub masks: Vec<u8>,
    /// Bodies, N words of [`RowForm::body`] bytes per row and block.
    pub bodies: Vec<u8>,
}

impl RowForm {
    /// Bytes of a result row's mask.
    pub const fn mask_bytes(self) -> usize {
        self.dimension * self.mask.bytes()
    }

    /// Bytes of one of a result row's bodies.
    pub const fn body_bytes(self) -> usize {
        self.dimension * self.body.bytes()
    }

    /// Rounds the words of result rows to their widths.
    pub fn pack<W: Word>(self, outputs: &OutputRows<W>) -> PackedRows {
        let (mask_bytes, body_bytes) = (self.mask_bytes(), self.body_bytes());
        let row_bytes = (outputs.columns / self.dimension - 1) * body_bytes;
        let mut masks = vec![0; outputs.rows.len() * mask_bytes];
        let mut bodies = vec![0; outputs.rows.len() * row_bytes];
        let packed = masks.chunks_exact_mut(mask_bytes).zip(bodies.chunks_exact_mut(row_bytes));
        for (words, (mask, row)) in outputs.words.chunks_exact(outputs.columns).zip(packed) {
            let (mask_words, body_words) = words.split_at(self.dimension);
            pack(mask_words, self.mask, mask);
            let bodies = row.chunks_exact_mut(body_bytes);
            for (words, body) in body_words.chunks_exact(self.dimension).zip(bodies) {
                pack(words, self.body, body);
            }
        }
        PackedRows { masks, bodies }
    }
}

/// The result rows that have not come yet. Rows come in any order, each once.
#[derive(Debug, Clone)]
pub struct AwaitedRows {
    form: RowForm,
    bodies: usize,
    seen: Vec<bool>,
    missing: usize,
}

impl AwaitedRows {
    /// All of `count` rows with so many bodies each.
    pub fn new(form: RowForm, count: usize, bodies: usize) -> Self {
        Self { form, bodies, seen: vec![false; count], missing: count }
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
        let (mask_bytes, body_bytes) =
            (self.form.mask_bytes(), self.bodies * self.form.body_bytes());
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
        fn training_rows_survive_whole_and_ticket_rows_to_half_a_step(
            seed in any::<u64>(), bodies in 1usize..4,
        ) {
            let columns = (1 + bodies) * POLYNOMIAL_SIZE;
            let form = training_rows(Profile::Glwe2048T32);
            let word = |i: u64| seed.wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let words: Vec<u64> = (0..2 * columns as u64).map(word).collect();
            let short: Vec<u32> = words.iter().map(|word| *word as u32).collect();
            let rows = vec![7, 3];
            let whole = OutputRows { rows: rows.clone(), words: short.clone(), columns };
            prop_assert_eq!(&unpacked::<u32>(form, &form.pack(&whole)), &short);
            // Words of 24 bits, at the top.
            let form = training_rows(Profile::Glwe1024T24);
            let top: Vec<u32> = short.iter().map(|word| word & !0xff).collect();
            let whole = OutputRows { words: top.clone(), ..whole };
            prop_assert_eq!(unpacked::<u32>(form, &form.pack(&whole)), top);
            let rounded = OutputRows { rows, words: words.clone(), columns };
            let back = unpacked::<u64>(TICKET_ROWS, &TICKET_ROWS.pack(&rounded));
            let off = back.iter().zip(&words).map(|(a, b)| a.wrapping_sub(*b).cast_signed().abs());
            prop_assert!(off.max().unwrap() <= 1 << 23);
        }
    }

    /// The words of two packed rows, row after row.
    fn unpacked<W: Word>(form: RowForm, packed: &PackedRows) -> Vec<W> {
        let mut words = Vec::new();
        let masks = packed.masks.chunks(form.mask_bytes());
        for (mask, bodies) in masks.zip(packed.bodies.chunks(packed.bodies.len() / 2)) {
            let bodies = bodies.chunks(form.body_bytes()).map(|body| (body, form.body));
            for (bytes, width) in std::iter::once((mask, form.mask)).chain(bodies) {
                let mut half = vec![W::default(); form.dimension];
                unpack(bytes, width, &mut half);
                words.extend(half);
            }
        }
        words
    }

    #[test]
    fn rejects_rows_twice_beyond_the_last_or_cut_short() {
        let (mask, body) = (TICKET_ROWS.mask_bytes(), TICKET_ROWS.body_bytes());
        let mut awaited = AwaitedRows::new(TICKET_ROWS, 3, 1);
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
