//! The sums of a [`SparseMap`](super::SparseMap) in registers.

use pulp::{Simd, WithSimd};

use super::{LANES, Lanes, SparseGroup, Terms};

/// Patches computed together where their inputs are neighbours.
const BLOCK: usize = 8;
/// Outputs that are collected before they are added to the vectors: a cache line of each.
const LINE: usize = 16;
/// Registers per patch held at once; `BLOCK × REGISTERS` sums leave room in the 32 registers of AVX-512.
const REGISTERS: usize = 2;

pub(super) struct AddProducts<'a, 'b> {
    pub groups: &'a [SparseGroup],
    pub added: &'a [u32],
    pub inputs: &'a [Lanes],
    pub outputs: &'a mut [&'b mut [u32]],
}

impl WithSimd for AddProducts<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut sums = [[0; LANES]; LINE];
        for group in self.groups {
            for (row, terms) in group.rows.iter().enumerate() {
                for (line, bases) in group.bases.chunks(LINE).enumerate() {
                    products(simd, terms, bases, self.inputs, &mut sums);
                    let mut outputs = [0; LINE];
                    for (patch, output) in outputs[..bases.len()].iter_mut().enumerate() {
                        *output = group.output(line * LINE + patch, row);
                    }
                    add(&outputs[..bases.len()], &sums, self.added, self.outputs);
                }
            }
        }
    }
}

/// The sums of one output for up to [`LINE`] patches.
#[inline(always)]
fn products<S: Simd>(
    simd: S,
    terms: &Terms,
    bases: &[u32],
    inputs: &[Lanes],
    sums: &mut [Lanes; LINE],
) {
    let mut done = 0;
    while let Some(&base) = bases.get(done) {
        let inputs = &inputs[base as usize..];
        let neighbours = |block: &[u32; BLOCK]| block.iter().zip(base..).all(|(&b, n)| b == n);
        if bases[done..].first_chunk().is_some_and(neighbours)
            && let Some(sums) = sums[done..].first_chunk_mut::<BLOCK>()
        {
            product(simd, terms, inputs, sums);
            done += BLOCK;
        } else {
            product(simd, terms, inputs, std::array::from_mut(&mut sums[done]));
            done += 1;
        }
    }
}

/// The sums of one output for P patches whose inputs are neighbours.
#[inline(always)]
fn product<S: Simd, const P: usize>(
    simd: S,
    terms: &Terms,
    inputs: &[Lanes],
    out: &mut [Lanes; P],
) {
    let step = REGISTERS * size_of::<S::u32s>() / size_of::<u32>();
    for column in (0..LANES).step_by(step) {
        let mut sums = [[simd.splat_u32s(0); REGISTERS]; P];
        for &distance in &terms.plus {
            each::<S, P>(inputs, distance, column, &mut sums, |sum, word| simd.add_u32s(sum, word));
        }
        for &distance in &terms.minus {
            each::<S, P>(inputs, distance, column, &mut sums, |sum, word| simd.sub_u32s(sum, word));
        }
        for &(distance, weight) in &terms.others {
            let weight = simd.splat_u32s(weight);
            each::<S, P>(inputs, distance, column, &mut sums, |sum, word| {
                simd.add_u32s(sum, simd.mul_u32s(weight, word))
            });
        }
        for (out, sums) in out.iter_mut().zip(&sums) {
            let out = S::as_mut_simd_u32s(&mut out[column..column + step]).0;
            out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = sum);
        }
    }
}

/// Lets one weight meet the words of all patches.
#[inline(always)]
fn each<S: Simd, const P: usize>(
    inputs: &[Lanes],
    distance: u32,
    column: usize,
    sums: &mut [[S::u32s; REGISTERS]; P],
    term: impl Fn(S::u32s, S::u32s) -> S::u32s,
) {
    let step = REGISTERS * size_of::<S::u32s>() / size_of::<u32>();
    let rows = &inputs[distance as usize..][..P];
    for (sums, row) in sums.iter_mut().zip(rows) {
        let words = S::as_simd_u32s(&row[column..column + step]).0;
        sums.iter_mut().zip(words).for_each(|(sum, &word)| *sum = term(*sum, word));
    }
}

/// Adds sums and constants to the vectors: from scalar by scalar to vector by vector.
#[inline(always)]
fn add(rows: &[usize], sums: &[Lanes; LINE], added: &[u32], outputs: &mut [&mut [u32]]) {
    let first = rows.first().copied().unwrap_or(0);
    let line = rows.len() == LINE && rows.iter().zip(first..).all(|(&row, next)| row == next);
    if line && let Some(added) = added[first..].first_chunk::<LINE>() {
        for (lane, output) in outputs.iter_mut().enumerate() {
            let words = output[first..].iter_mut().zip(added).zip(sums);
            words.for_each(|((word, &add), sums)| {
                *word = word.wrapping_add(add).wrapping_add(sums[lane]);
            });
        }
        return;
    }
    for (&row, sums) in rows.iter().zip(sums) {
        for (output, &sum) in outputs.iter_mut().zip(sums) {
            output[row] = output[row].wrapping_add(added[row]).wrapping_add(sum);
        }
    }
}
