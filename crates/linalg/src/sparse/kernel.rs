//! The sums of a [`SparseMap`](super::SparseMap) in registers.

use pulp::{Simd, WithSimd};

use super::{LANES, Lanes, SparseGroup, Terms};

/// Patches computed together where their inputs are neighbours.
const BLOCK: usize = 8;
/// Patches whose sums are turned from scalar by scalar to vector by vector at once: a cache line of
/// each vector.
const LINE: usize = 16;
/// Registers per patch held at once; `BLOCK × REGISTERS` sums leave room in the 32 registers of
/// AVX-512.
const REGISTERS: usize = 2;

pub(super) struct AddProducts<'a, 'b> {
    pub groups: &'a [SparseGroup],
    pub added: &'a [u32],
    pub inputs: &'a [Lanes],
    /// Room for the sums of one row for all patches, vector by vector.
    pub room: &'a mut Vec<u32>,
    pub outputs: &'a mut [&'b mut [u32]],
}

impl WithSimd for AddProducts<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut sums = [[0; LANES]; LINE];
        for group in self.groups {
            let patches = group.bases.len();
            self.room.resize(self.outputs.len() * patches, 0);
            let room = self.room.as_mut_slice();
            for (row, terms) in group.rows.iter().enumerate() {
                for (line, bases) in group.bases.chunks(LINE).enumerate() {
                    products(simd, terms, bases, self.inputs, &mut sums);
                    let place = line * LINE..line * LINE + bases.len();
                    for (lane, room) in room.chunks_exact_mut(patches).enumerate() {
                        let room = &mut room[place.clone()];
                        match <&mut [u32; LINE]>::try_from(&mut *room) {
                            // A known length has no loop.
                            Ok(room) => *room = std::array::from_fn(|patch| sums[patch][lane]),
                            Err(_) => {
                                let room = room.iter_mut().zip(&sums);
                                room.for_each(|(room, sums)| *room = sums[lane]);
                            }
                        }
                    }
                }
                // Vectors are longer than caches: each is passed through in long stretches, which
                // the processor foresees.
                for (output, sums) in self.outputs.iter_mut().zip(room.chunks_exact(patches)) {
                    add(group, row, self.added, sums, output);
                }
            }
        }
    }
}

/// Adds the sums of a row and its constants to a vector.
#[inline(always)]
fn add(group: &SparseGroup, row: usize, added: &[u32], sums: &[u32], out: &mut [u32]) {
    if let Some(first) = group.firsts[row] {
        let stretch = first..first + sums.len();
        let words = out[stretch.clone()].iter_mut().zip(&added[stretch]).zip(sums);
        words.for_each(|((word, &add), &sum)| *word = word.wrapping_add(add).wrapping_add(sum));
        return;
    }
    for (patch, &sum) in sums.iter().enumerate() {
        let at = group.output(patch, row);
        out[at] = out[at].wrapping_add(added[at]).wrapping_add(sum);
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
