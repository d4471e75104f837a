//! The non-linear parts of an evaluation: key switch, blind rotation and packing.

mod packing;
mod rotation;

pub use packing::pack_samples;

use rayon::prelude::*;

use crate::control::Control;
use crate::error::EvaluationError;
use crate::kernel::{multiply_digits, switched_words};
use crate::prepared::PreparedKeys;
use crate::sample::{SAMPLE_WORDS, Samples};
use rotation::Rotation;

/// Most samples whose key switch shares a pass over the key.
const SWITCHED_TOGETHER: usize = 32;
/// Most blind rotations that share a pass over the bootstrapping key: their accumulators fit a
/// core's cache.
const ROTATED_TOGETHER: usize = 8;

/// Samples under the small key, on their way to a blind rotation.
pub struct SwitchedSamples {
    count: usize,
    /// [`switched_words`] words each, of which n + 1 count.
    words: Vec<u32>,
}

/// Switches samples to the small key, modulo 2^32. Parallel over groups of samples on the current
/// pool.
///
/// # Errors
/// [`EvaluationError::Cancelled`]; [`EvaluationError::Profile`] for keys that only pack.
pub fn switch_keys(
    keys: &PreparedKeys,
    samples: &Samples,
    control: &Control<'_>,
) -> Result<SwitchedSamples, EvaluationError> {
    let (parameters, lookup) = (keys.profile().parameters(), keys.lookup()?);
    let count = samples.len();
    let together = even_share(count, rayon::current_num_threads(), SWITCHED_TOGETHER);
    let switched: Vec<Vec<u32>> = samples
        .words()
        .par_chunks(together * SAMPLE_WORDS)
        .map(|samples| match control.is_cancelled() {
            true => Vec::new(),
            false => multiply_digits(&parameters, lookup.key_switching(), samples),
        })
        .collect();
    control.check()?;
    Ok(SwitchedSamples { count, words: switched.concat() })
}

/// Looks every sample up in a table: rounding to 2N steps, blind rotation, extraction.
///
/// `table` has N words: entry j is the output, modulo 2^64, for phases in [j, j + 1) / 2N of the
/// torus. Phases of the other half get the negated entries: f(x + 1/2) = -f(x). Parallel over
/// groups of samples on the current pool.
///
/// # Errors
/// [`EvaluationError::Cancelled`], within one step of the blind rotations under way;
/// [`EvaluationError::Profile`] for keys that only pack.
pub fn look_up(
    keys: &PreparedKeys,
    samples: &SwitchedSamples,
    table: &[u64],
    control: &Control<'_>,
) -> Result<Samples, EvaluationError> {
    let (stride, lookup) = (switched_words(&keys.profile().parameters()), keys.lookup()?);
    let together = even_share(samples.count, rayon::current_num_threads(), ROTATED_TOGETHER);
    let mut outputs = Samples::zero(samples.count);
    outputs
        .words_mut()
        .par_chunks_mut(together * SAMPLE_WORDS)
        .zip(samples.words.par_chunks(together * stride))
        .for_each_init(
            || Rotation::new(keys, lookup, together),
            |rotation, (outputs, switched)| rotation.run(switched, table, outputs, control),
        );
    control.check()?;
    Ok(outputs)
}

impl std::fmt::Debug for SwitchedSamples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwitchedSamples").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Items of a task, at most `limit`, such that tasks of equal size fill all threads to the end.
fn even_share(count: usize, threads: usize, limit: usize) -> usize {
    let rounds = count.div_ceil(limit * threads).max(1);
    count.div_ceil(rounds * threads).max(1)
}

#[cfg(test)]
mod against_tfhe;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_within_the_limit() {
        for (count, threads, limit) in
            [(100, 2, 8), (1, 2, 8), (845, 3, 8), (100, 64, 8), (0, 2, 8)]
        {
            let share = even_share(count, threads, limit);
            assert!((1..=limit).contains(&share), "{count} on {threads}");
            let tasks = count.div_ceil(share);
            assert!(
                tasks <= threads * count.div_ceil(limit * threads).max(1),
                "{count} on {threads}"
            );
        }
        assert_eq!(even_share(100, 2, 8), 8);
    }
}
