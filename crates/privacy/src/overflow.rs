//! How often a Poisson batch does not fit in its padded blocks.

use crate::log_space;
use crate::quantity::SamplingRate;

/// Slots of one block: the polynomial size of the ciphertexts that carry a batch.
pub const BLOCK_SLOTS: u64 = 2048;

/// Standard deviations of a Poisson batch that are left free in its blocks.
const FREE_DEVIATIONS: f64 = 6.0;

/// Upper bound on the probability that Poisson batches of two neighbouring data sets, `examples`
/// the larger, do not *both* fit in `capacity` slots however the example they differ in falls:
/// P[Binomial(examples, q) ≥ capacity].
///
/// The tail is its first term times a geometric series with the ratio of the first two terms, which
/// bounds it from above (the ratios decrease) and is within a few per cent at six deviations.
/// Computed by logarithms; the bound's last digits are rounded up.
pub fn overflow_probability(examples: u64, rate: SamplingRate, capacity: u64) -> f64 {
    let (n, q, c) = (examples as f64, rate.get(), capacity as f64);
    if capacity > examples {
        return 0.0;
    }
    let ratio = (n - c) / (c + 1.0) * q / (1.0 - q);
    if q == 1.0 || ratio >= 1.0 {
        return 1.0; // The capacity does not exceed the expectation: no tail to speak of.
    }
    let first = log_space::binomial(n, c) + c * q.ln() + (n - c) * (-q).ln_1p();
    /// Covers the rounding of ln Γ for up to 10⁹ examples.
    const ROUNDING: f64 = 1e-5;
    ((first - (-ratio).ln_1p()).exp() * (1.0 + ROUNDING)).min(1.0)
}

/// The largest expected batch size that leaves six standard deviations of a Poisson batch free in
/// `capacity` slots; all `examples` when they fit. 0 when the capacity is below 37 slots.
pub fn expected_batch_for(capacity: u64, examples: u64) -> u64 {
    if capacity >= examples {
        return examples;
    }
    let reach = |batch: u64| {
        let mean = batch as f64;
        mean + FREE_DEVIATIONS * (mean * (1.0 - mean / examples as f64)).sqrt()
    };
    // Not monotone near `examples`, where the deviation vanishes: search from the capacity down.
    (0..=capacity).rev().find(|&batch| reach(batch) <= capacity as f64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tail summed term by term.
    fn tail(n: u64, q: f64, c: u64) -> f64 {
        (c..=n)
            .map(|k| {
                let (n, k) = (n as f64, k as f64);
                (log_space::binomial(n, k) + k * q.ln() + (n - k) * (-q).ln_1p()).exp()
            })
            .sum()
    }

    #[test]
    fn bounds_the_binomial_tail_closely() {
        for (n, expected, capacity) in [(60_000, 1790, 2048), (60_000, 3700, 4096), (500, 40, 90)] {
            let q = expected as f64 / n as f64;
            let bound = overflow_probability(n, SamplingRate::new(q).unwrap(), capacity);
            let exact = tail(n, q, capacity);
            assert!(bound >= exact && bound < 1.1 * exact, "{n} {expected}: {bound:e} {exact:e}");
        }
    }

    #[test]
    fn is_zero_when_everything_fits_and_one_when_nothing_does() {
        let rate = SamplingRate::new(0.5).unwrap();
        assert_eq!(overflow_probability(2047, rate, 2048), 0.0);
        assert_eq!(overflow_probability(60_000, rate, 2048), 1.0);
        assert_eq!(overflow_probability(60_000, SamplingRate::new(1.0).unwrap(), 2048), 1.0);
    }

    #[test]
    fn a_block_of_mnist_holds_an_expectation_of_about_1790() {
        let expected = expected_batch_for(BLOCK_SLOTS, 60_000);
        assert!((1785..1805).contains(&expected), "{expected}");
        let rate = SamplingRate::new(expected as f64 / 60_000.0).unwrap();
        assert!(overflow_probability(60_000, rate, BLOCK_SLOTS) < 1e-8);
        assert_eq!(expected_batch_for(2048, 1000), 1000);
        assert_eq!(expected_batch_for(1, 1000), 0);
    }
}
