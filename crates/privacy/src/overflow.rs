//! How often a Poisson batch does not fit in its padded blocks.

use crate::log_space;
use crate::quantity::{Delta, QuantityError, SamplingRate};

/// Slots of one block: the polynomial size of the ciphertexts that carry a batch.
pub const BLOCK_SLOTS: u64 = 2048;

/// Most examples of a plan: as many as the bound on overflows accounts for the rounding of.
pub(crate) const MOST_EXAMPLES: u64 = 1_000_000_000;

/// What overflows may use up of δ in the course of a planned training.
const SHARE_OF_DELTA: f64 = 0.01;

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
    /// Covers the rounding of ln Γ for up to [`MOST_EXAMPLES`].
    const ROUNDING: f64 = 1e-5;
    ((first - (-ratio).ln_1p()).exp() * (1.0 + ROUNDING)).min(1.0)
}

/// Steps of a number of passes over the data; the last one is completed.
pub(crate) fn steps(epochs: f64, examples: u64, expected_batch: u64) -> u64 {
    // 15 epochs of 1/3 are 45 steps, not 46 because of rounding.
    (epochs * examples as f64 / expected_batch as f64 - 1e-9).ceil().max(1.0) as u64
}

/// Bound on the probability that some batch of a training overflows `capacity` slots.
pub(crate) fn total_overflow(
    examples: u64,
    expected_batch: u64,
    capacity: u64,
    epochs: f64,
) -> Result<f64, QuantityError> {
    let steps = steps(epochs, examples, expected_batch);
    overflow_of_steps(steps, examples, expected_batch, capacity)
}

fn overflow_of_steps(
    steps: u64,
    examples: u64,
    expected_batch: u64,
    capacity: u64,
) -> Result<f64, QuantityError> {
    let rate = SamplingRate::new(expected_batch as f64 / examples as f64)?;
    Ok(steps as f64 * overflow_probability(examples, rate, capacity))
}

/// Whether overflows of such a probability over a whole training leave 99 % of δ.
pub(crate) fn is_negligible(total_overflow: f64, delta: Delta) -> bool {
    total_overflow <= SHARE_OF_DELTA * delta.get()
}

/// Examples that so many blocks hold when each takes `copies` slots; 0 for no copies or more than a
/// block's slots.
pub fn block_capacity(blocks: u64, copies: u64) -> u64 {
    blocks.saturating_mul(BLOCK_SLOTS.checked_div(copies).unwrap_or(0))
}

/// The largest expected batch size whose overflows of a step's `capacity` ([`block_capacity`]),
/// over all steps of `epochs` passes together, use up at most a hundredth of δ; all `examples`
/// where nothing can overflow. Longer trainings, smaller δ and smaller capacities leave a larger
/// part free: of 60 000 examples in 10 epochs at δ = 10⁻⁵, 1783 in a capacity of 2048 and 164 in
/// one of 256. 0 without capacity. Takes microseconds.
pub fn largest_expected_batch(examples: u64, capacity: u64, epochs: f64, delta: Delta) -> u64 {
    if capacity > examples {
        return examples;
    }
    let within = |steps: u64, batch: u64| {
        overflow_of_steps(steps, examples, batch, capacity)
            .is_ok_and(|overflow| is_negligible(overflow, delta))
    };
    // For a given number of steps, overflows grow with the batch. A smaller batch makes more steps,
    // so a batch that is too large for the steps of a larger one does not fit; what is left after
    // that is bounded anew.
    let mut bound = capacity;
    while bound > 0 {
        let steps = steps(epochs, examples, bound);
        if within(steps, bound) {
            break;
        }
        bound = largest_within(bound, |batch| within(steps, batch));
    }
    bound
}

/// The largest number below `bound` for which a property holds that no larger one has once one
/// lacks it; 0 if none.
pub(crate) fn largest_within(bound: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, bound);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle } else { high = middle }
    }
    low
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
    fn the_largest_batch_leaves_nearly_all_of_delta_however_long_the_training() {
        let delta = Delta::new(1e-5).unwrap();
        let mut last = 2048;
        for epochs in [1.0, 10.0, 100.0, 3000.0] {
            let batch = largest_expected_batch(60_000, BLOCK_SLOTS, epochs, delta);
            let overflow = |batch| total_overflow(60_000, batch, BLOCK_SLOTS, epochs).unwrap();
            assert!(overflow(batch) <= 1e-7 && overflow(batch + 1) > 1e-7, "{epochs}: {batch}");
            assert!((1700..last).contains(&batch), "{epochs}: {batch}");
            last = batch;
        }
        let smaller = largest_expected_batch(60_000, BLOCK_SLOTS, 10.0, Delta::new(1e-9).unwrap());
        assert!(smaller < largest_expected_batch(60_000, BLOCK_SLOTS, 10.0, delta));
        assert!(largest_expected_batch(60_000, 3 * BLOCK_SLOTS, 10.0, delta) > 3 * smaller);
    }

    #[test]
    fn nothing_is_left_free_where_nothing_can_overflow() {
        let delta = Delta::new(1e-5).unwrap();
        assert_eq!(largest_expected_batch(1000, BLOCK_SLOTS, 10.0, delta), 1000);
        assert_eq!(largest_expected_batch(60_000, 30 * BLOCK_SLOTS, 10.0, delta), 60_000);
        // Exactly full: the bound cannot tell a full batch from an overflow.
        let full = largest_expected_batch(2048, BLOCK_SLOTS, 10.0, delta);
        assert!((1950..2048).contains(&full), "{full}");
        assert_eq!(largest_expected_batch(60_000, 0, 10.0, delta), 0);
    }

    /// By trying all batches from above, which takes as long as there are.
    #[test]
    fn the_largest_batch_is_that_of_a_search_through_all() {
        for (examples, capacity, epochs, delta) in [
            (500, 128, 0.3, 1e-5),
            (500, 500, 1.0, 1e-5),
            (500, 499, 1.0, 1e-2),
            (3000, 2048, 0.7, 1e-5),
            (3000, 2048, 1.5, 1e-9),
            (3000, 2816, 3.0, 0.1),
            (2048, 2048, 1e9, 1e-5),
            (3000, 128, 1e30, 1e-300),
        ] {
            let delta = Delta::new(delta).unwrap();
            let fits = |&batch: &u64| {
                is_negligible(total_overflow(examples, batch, capacity, epochs).unwrap(), delta)
            };
            let expected = (1..=capacity).rev().find(fits).unwrap_or(0);
            let got = largest_expected_batch(examples, capacity, epochs, delta);
            assert_eq!(got, expected, "{examples} {capacity} {epochs} {delta:?}");
        }
    }

    #[test]
    fn copies_share_the_slots_of_a_block() {
        assert_eq!([1, 2, 16].map(|copies| block_capacity(3, copies)), [6144, 3072, 384]);
        assert_eq!([block_capacity(3, 0), block_capacity(3, 2049), block_capacity(0, 2)], [0; 3]);
        assert_eq!(block_capacity(u64::MAX, 2), u64::MAX);
    }
}
