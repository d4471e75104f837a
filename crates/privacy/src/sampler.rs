//! Poisson sampling of batches.

use std::fmt;

use rand::CryptoRng;

use crate::integers::uniform_below;
use crate::quantity::SamplingRate;

/// 2⁶⁴.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// The examples of one step. Its size is private: the server sees padded blocks only.
#[derive(Clone, PartialEq, Eq)]
pub struct PoissonBatch {
    /// Indices of the examples, increasing.
    pub indices: Vec<usize>,
    /// Examples drawn but dropped because the blocks were full.
    pub dropped: usize,
}

impl fmt::Debug for PoissonBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoissonBatch(..)")
    }
}

/// Draws batches in which each example appears independently with the same probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoissonSampler {
    examples: usize,
    capacity: usize,
    /// An example is drawn when a uniform 64-bit word is below; `None` draws all.
    threshold: Option<u64>,
}

impl PoissonSampler {
    /// Sampler over `examples` examples with room for `capacity`.
    pub fn new(examples: usize, rate: SamplingRate, capacity: usize) -> Self {
        // The product is exact; rounding down makes the true rate at most q, by less than 2⁻⁶⁴.
        let threshold = (rate.get() < 1.0).then(|| (rate.get() * TWO_TO_64) as u64);
        Self { examples, capacity, threshold }
    }

    /// Draws a batch: one 64-bit word per example, compared in integers, so that neither the rate
    /// nor the number of words consumed depends on floating point or on what was drawn before.
    ///
    /// When more than `capacity` examples are drawn, the ones to drop are chosen uniformly at
    /// random (the guarantee would allow any rule, but this one favours no example).
    pub fn draw<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> PoissonBatch {
        let mut indices: Vec<usize> = match self.threshold {
            None => (0..self.examples).collect(),
            Some(threshold) => (0..self.examples).filter(|_| rng.next_u64() < threshold).collect(),
        };
        let drawn = indices.len();
        let mut room = self.capacity.min(drawn);
        let mut left = drawn;
        // Selection sampling (Knuth 3.4.2 S): keeps a uniform subset, in order.
        if room < drawn {
            indices.retain(|_| {
                let keep = uniform_below(rng, left as u64) < room as u64;
                left -= 1;
                room -= usize::from(keep);
                keep
            });
        }
        PoissonBatch { dropped: drawn - indices.len(), indices }
    }
}

#[cfg(test)]
mod tests;
