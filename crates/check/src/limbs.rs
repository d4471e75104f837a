//! Residues cut into three limbs, so that products with 32-bit values add up in 64-bit lanes.
//!
//! A limb has at most 21 bits and a value 32 with its sign: 1024 products stay below 2^62.

use crate::field::{add, residue};

/// Terms that are added up between two reductions.
pub(crate) const TERMS: usize = 1024;

/// Bits of the lower two limbs.
const BITS: u32 = 20;
const LOW: u64 = (1 << BITS) - 1;

/// A vector of residues in three limbs of 20, 20 and 21 bits.
#[derive(Clone)]
pub struct Limbs {
    pub(crate) parts: [Vec<i32>; 3],
}

impl Limbs {
    /// Cuts residues.
    pub fn new(residues: &[u64]) -> Self {
        let part = |shift: u32, mask: u64| {
            residues.iter().map(move |residue| (residue >> shift & mask) as i32).collect()
        };
        Self { parts: [part(0, LOW), part(BITS, LOW), part(2 * BITS, u64::MAX)] }
    }

    /// Number of residues.
    pub fn len(&self) -> usize {
        self.parts[0].len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts[0].is_empty()
    }

    /// Σ residue · value modulo p.
    ///
    /// Expected cost: three multiply-adds per term, in vectors. Surplus terms of the longer side
    /// are left out.
    pub fn dot(&self, values: &[i32]) -> u64 {
        let mut total = 0;
        for (index, values) in values.chunks(TERMS).enumerate() {
            let sums = self.parts.each_ref().map(|part| {
                let part = part.get(index * TERMS..).unwrap_or_default();
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || part.iter().zip(values).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum(),
                )
            });
            total = add(total, join(sums));
        }
        total
    }
}

/// The residue of sums of limbs.
#[inline(always)]
pub(crate) fn join(sums: [i64; 3]) -> u64 {
    let [low, middle, high] = sums.map(i128::from);
    residue(low + (middle << BITS) + (high << (2 * BITS)))
}

/// Without the residues: who knows them could answer wrongly.
impl std::fmt::Debug for Limbs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limbs").field("len", &self.len()).finish_non_exhaustive()
    }
}
