//! Combinations of rows, slot by slot.

use crate::field::add;
use crate::limbs::{Limbs, TERMS, join};

/// Slots whose sums stay in registers.
const TILE: usize = 32;
/// Rows that are added between loading and storing the sums.
const TOGETHER: usize = 16;

/// For every slot b the sum over rows r of coefficient(r) · value(r, b), modulo p.
#[derive(Clone)]
pub struct SlotSums {
    /// Sums of limbs since the last reduction, three per tile of slots: `[tile][limb][slot]`.
    waiting: Vec<[[i64; TILE]; 3]>,
    /// Terms in them.
    terms: usize,
    /// Residues of everything before.
    totals: Vec<u64>,
}

impl SlotSums {
    /// Sums of no rows for so many slots, a multiple of 32.
    pub fn new(slots: usize) -> Self {
        let tiles = slots.div_ceil(TILE);
        Self { waiting: vec![[[0; TILE]; 3]; tiles], terms: 0, totals: vec![0; tiles * TILE] }
    }

    /// Adds rows of one value per slot, which lie one after the other; row r of them has the
    /// coefficient at `place(r)`.
    ///
    /// Expected cost: three multiply-adds per value. Best called with some rows at once: their
    /// sums are loaded and stored once.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn add(&mut self, coefficients: &Limbs, place: impl Fn(usize) -> usize, rows: &[i32]) {
        let slots = self.totals.len();
        for (index, rows) in rows.chunks(TOGETHER * slots).enumerate() {
            let count = rows.len() / slots;
            if self.terms + count > TERMS {
                self.reduce();
            }
            self.terms += count;
            let parts = coefficients.parts.each_ref().map(|part| {
                let mut own = [0i64; TOGETHER];
                own.iter_mut().take(count).enumerate().for_each(|(row, own)| {
                    *own = i64::from(part[place(index * TOGETHER + row)]);
                });
                own
            });
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (tile, sums) in self.waiting.iter_mut().enumerate() {
                        add_tile(sums, &parts, rows, slots, tile * TILE);
                    }
                },
            );
        }
    }

    /// Adds the sums of other rows.
    pub fn merge(&mut self, mut other: Self) {
        self.reduce();
        other.reduce();
        let totals = self.totals.iter_mut().zip(&other.totals);
        totals.for_each(|(total, &other)| *total = add(*total, other));
    }

    /// The residue of every slot.
    pub fn finish(mut self) -> Vec<u64> {
        self.reduce();
        self.totals
    }

    fn reduce(&mut self) {
        for (sums, totals) in self.waiting.iter_mut().zip(self.totals.chunks_exact_mut(TILE)) {
            for (slot, total) in totals.iter_mut().enumerate() {
                *total = add(*total, join([sums[0][slot], sums[1][slot], sums[2][slot]]));
            }
            *sums = [[0; TILE]; 3];
        }
        self.terms = 0;
    }
}

#[inline(always)]
fn add_tile(
    sums: &mut [[i64; TILE]; 3],
    parts: &[[i64; TOGETHER]; 3],
    rows: &[i32],
    slots: usize,
    slot: usize,
) {
    let mut kept = *sums;
    for (row, values) in rows.chunks_exact(slots).enumerate() {
        let Some(values) = values[slot..].first_chunk::<TILE>() else { continue };
        for (sums, part) in kept.iter_mut().zip(parts) {
            let coefficient = part[row];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += coefficient * i64::from(value);
            }
        }
    }
    *sums = kept;
}

/// Without the sums: they are made of decrypted values.
impl std::fmt::Debug for SlotSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotSums").field("slots", &self.totals.len()).finish_non_exhaustive()
    }
}
