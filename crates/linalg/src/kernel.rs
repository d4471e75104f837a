//! The inner product kernel: integer weights × gathered ciphertext rows, modulo 2^32 or 2^64.
//!
//! Wrapping integer multiply-adds in registers are exact by construction and, with 512-bit vectors,
//! faster than a floating-point product of split words (docs/benchmarks.md has both).

use pulp::{Simd, WithSimd};

use crate::matrix::TILE;
use crate::word::Word;

/// Outputs computed together: each gathered word is loaded once for eight of them.
pub(crate) const PANEL: usize = 8;

/// Registers per output held at once; `PANEL × REGISTERS` accumulators leave room in the 32
/// registers of AVX-512.
const REGISTERS: usize = 2;

/// One panel of eight outputs on one tile.
pub(crate) struct PanelProduct<'a, W> {
    /// All rows of the input's tile.
    pub tile: &'a [W],
    /// Input row of each tap.
    pub gather: &'a [u32],
    /// Weights `[tap][PANEL]`.
    pub weights: &'a [[W; PANEL]],
    /// `[PANEL][TILE]`, overwritten.
    pub out: &'a mut [[W; TILE]; PANEL],
}

impl<W: Word> WithSimd for PanelProduct<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let step = REGISTERS * size_of::<W::Vector<S>>() / size_of::<W>();
        let mut column = 0;
        while column < TILE {
            let mut sums = [[W::splat(simd, W::default()); REGISTERS]; PANEL];
            for (&row, weights) in self.gather.iter().zip(self.weights) {
                let start = row as usize * TILE + column;
                let words = W::vectors::<S>(&self.tile[start..start + step]);
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = W::splat(simd, weight);
                    for (sum, &word) in sums.iter_mut().zip(words) {
                        *sum = W::multiply_add(simd, *sum, weight, word);
                    }
                }
            }
            for (out, sums) in self.out.iter_mut().zip(&sums) {
                let out = W::vectors_mut::<S>(&mut out[column..column + step]);
                out.iter_mut().zip(sums).for_each(|(to, &sum)| *to = sum);
            }
            column += step;
        }
    }
}
