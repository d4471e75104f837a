//! Combinations of rows, slot by slot.

use pulp::{Simd, WithSimd};

use crate::field::add;
use crate::limbs::{Limbs, TERMS, join};

/// Rows that are added between loading and storing the sums.
const TOGETHER: usize = 4;

/// For every slot b the sum over rows r of coefficient(r) · value(r, b), modulo p.
#[derive(Clone)]
pub struct SlotSums {
    /// Sums of limbs since the last reduction: `[limb][slot]`.
    waiting: [Vec<i64>; 3],
    /// Terms in them.
    terms: usize,
    /// Residues of everything before.
    totals: Vec<u64>,
}

impl SlotSums {
    /// Sums of no rows for so many slots.
    pub fn new(slots: usize) -> Self {
        Self { waiting: [(); 3].map(|()| vec![0; slots]), terms: 0, totals: vec![0; slots] }
    }

    /// Adds rows of one value per slot, which lie one after the other; row r of them has the
    /// coefficient at `place(r)`.
    ///
    /// Expected cost: three multiply-adds per value, in vectors. Best called with some rows at
    /// once: the sums are loaded and stored once for four of them.
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
                std::array::from_fn(|row| match row < count {
                    true => part[place(index * TOGETHER + row)],
                    false => 0,
                })
            });
            // The rows that are missing have the coefficient 0.
            let row = |row: usize| &rows[row.min(count - 1) * slots..][..slots];
            let rows = std::array::from_fn(row);
            pulp::Arch::new().dispatch(AddRows { waiting: &mut self.waiting, parts, rows });
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
        let [low, middle, high] = &mut self.waiting;
        let sums = low.iter_mut().zip(middle).zip(high);
        for (total, ((low, middle), high)) in self.totals.iter_mut().zip(sums) {
            *total = add(*total, join([low, middle, high].map(std::mem::take)));
        }
        self.terms = 0;
    }
}

/// Adds rows to the sums that wait.
///
/// A type of its own: where the compiler does not inline a closure, it is compiled for the
/// instructions that every processor has.
struct AddRows<'a> {
    waiting: &'a mut [Vec<i64>; 3],
    /// The limbs of each row's coefficient.
    parts: [[i32; TOGETHER]; 3],
    /// As long as the sums.
    rows: [&'a [i32]; TOGETHER],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { waiting: [low, middle, high], parts, rows: [a, b, c, d] } = self;
        let sums = low.iter_mut().zip(middle).zip(high);
        let values = a.iter().zip(b).zip(c).zip(d);
        for (((low, middle), high), (((a, b), c), d)) in sums.zip(values) {
            let values = [a, b, c, d].map(|&value| i64::from(value));
            for (sum, part) in [low, middle, high].into_iter().zip(&parts) {
                for (&coefficient, value) in part.iter().zip(values) {
                    *sum += i64::from(coefficient) * value;
                }
            }
        }
    }
}

/// Without the sums: they are made of decrypted values.
impl std::fmt::Debug for SlotSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotSums").field("slots", &self.totals.len()).finish_non_exhaustive()
    }
}
