//! Norms of dense layers' gradients averaged over the copies of an example.
//!
//! With aₖ the input and δₖ the gradient at the output in copy k, and a 1 appended to aₖ for the
//! bias, `‖Σₖ δₖ aₖᵀ‖² = Σₖₗ (aₖ·aₗ)(δₖ·δₗ)`: inner products instead of matrices.

use aligned_vec::{AVec, ConstAlign, avec};
use pulp::Simd;

use crate::tensor::{SLOT_GROUP, Tensor};

/// Copies whose inner products are accumulated in registers together.
const GROUP: usize = 4;

/// Rows summed in `f32` before they are added to the total; 16 copies of them stay in the
/// second-level cache.
const BLOCK: usize = 64;

/// Unit roundoff of `f32`.
const ROUNDOFF: f64 = 1.0 / 16_777_216.0;

/// Scratch memory of one thread with room for the lanes of any machine: a block of rows of all
/// copies, and the two matrices of inner products.
pub(super) struct Gram {
    copies: usize,
    /// `[row][copy][lane]`.
    block: AVec<f32, ConstAlign<64>>,
    /// aₖ·aₗ for k ≤ l, `[k][l][lane]`.
    inputs: AVec<f32, ConstAlign<64>>,
    /// δₖ·δₗ.
    deltas: AVec<f32, ConstAlign<64>>,
}

/// By lane, of the sum over the copies of an example's gradient.
pub(super) struct Squares {
    /// Upper bound on the squared norm of the sum, at most `roundoff × rows` above it in units of
    /// the squared `spread`.
    pub(super) norm: [f64; SLOT_GROUP],
    /// Sum of the copies' norms.
    pub(super) spread: [f64; SLOT_GROUP],
}

impl Gram {
    pub(super) fn new(copies: usize) -> Self {
        let scratch = |vectors: usize| avec![[64]| 0.0f32; vectors * SLOT_GROUP];
        let square = copies * copies;
        Self {
            copies,
            block: scratch(BLOCK * copies),
            inputs: scratch(square),
            deltas: scratch(square),
        }
    }

    /// Of the examples from `slot` on, whose copies lie `stride` slots apart.
    ///
    /// Cost per example: copies² / 2 multiply-adds for every input and output.
    #[inline(always)]
    pub(super) fn squares<S: Simd>(
        &mut self,
        simd: S,
        (input, delta): (&Tensor, &Tensor),
        slot: usize,
        stride: usize,
    ) -> Squares {
        let Self { copies, block, inputs, deltas, .. } = self;
        let block = S::as_mut_simd_f32s(block).0;
        products(simd, input, (slot, stride, *copies), block, S::as_mut_simd_f32s(inputs).0);
        products(simd, delta, (slot, stride, *copies), block, S::as_mut_simd_f32s(deltas).0);
        self.combine(S::F32_LANES, rounding(input.rows()) + rounding(delta.rows()))
    }

    /// The sums over pairs of copies, in `f64`, where nothing more is lost.
    fn combine(&self, lanes: usize, rounding: f64) -> Squares {
        let mut squares = Squares { norm: [0.0; SLOT_GROUP], spread: [0.0; SLOT_GROUP] };
        for k in 0..self.copies {
            for l in k..self.copies {
                let first = (k * self.copies + l) * lanes;
                let products = self.inputs[first..].iter().zip(&self.deltas[first..]);
                for (lane, (&input, &delta)) in products.take(lanes).enumerate() {
                    let product = (f64::from(input) + 1.0) * f64::from(delta);
                    if k == l {
                        squares.norm[lane] += product;
                        squares.spread[lane] += product.sqrt();
                    } else {
                        squares.norm[lane] += 2.0 * product;
                    }
                }
            }
        }
        for (norm, spread) in squares.norm.iter_mut().zip(&squares.spread) {
            // Where copies cancel, errors do not: each product is off by at most `rounding` times
            // the product of the norms (Higham 2002, Accuracy and Stability of Numerical
            // Algorithms, section 3.1).
            *norm = norm.max(0.0) + rounding * spread * spread;
        }
        squares
    }
}

/// Bound on the error of an inner product of so many rows, relative to the product of the norms; a
/// tenth more for products of errors.
fn rounding(rows: usize) -> f64 {
    let additions = rows.min(BLOCK) + rows.div_ceil(BLOCK);
    1.1 * ROUNDOFF * additions as f64
}

/// Inner products of the copies' columns, `[k][l]` for k ≤ l.
#[inline(always)]
fn products<S: Simd>(
    simd: S,
    tensor: &Tensor,
    (slot, stride, copies): (usize, usize, usize),
    block: &mut [S::f32s],
    totals: &mut [S::f32s],
) {
    totals.fill(simd.splat_f32s(0.0));
    for first in (0..tensor.rows()).step_by(BLOCK) {
        let rows = BLOCK.min(tensor.rows() - first);
        for row in 0..rows {
            let values = tensor.row(first + row);
            for (copy, value) in block[row * copies..][..copies].iter_mut().enumerate() {
                *value = S::as_simd_f32s(&values[copy * stride + slot..]).0[0];
            }
        }
        for k in (0..copies).step_by(GROUP) {
            for l in (k..copies).step_by(GROUP) {
                let sums = group(simd, &block[..rows * copies], copies, k, l);
                for (k, sums) in (k..copies).zip(sums) {
                    for (l, sum) in (l..copies).zip(sums).filter(|(l, _)| *l >= k) {
                        totals[k * copies + l] = simd.add_f32s(totals[k * copies + l], sum);
                    }
                }
            }
        }
    }
}

/// Inner products over a block of copies `k..k + GROUP` with copies `l..l + GROUP`; those that
/// there are not repeat the last one.
#[inline(always)]
fn group<S: Simd>(
    simd: S,
    block: &[S::f32s],
    copies: usize,
    k: usize,
    l: usize,
) -> [[S::f32s; GROUP]; GROUP] {
    let mut sums = [[simd.splat_f32s(0.0); GROUP]; GROUP];
    for row in block.chunks_exact(copies) {
        let left: [S::f32s; GROUP] = std::array::from_fn(|i| row[(k + i).min(copies - 1)]);
        let right: [S::f32s; GROUP] = std::array::from_fn(|i| row[(l + i).min(copies - 1)]);
        for i in 0..GROUP {
            for j in 0..GROUP {
                sums[i][j] = simd.mul_add_e_f32s(left[i], right[j], sums[i][j]);
            }
        }
    }
    sums
}
