//! How even bytes are: counts, and a test of uniformity.

/// Values of a byte.
const VALUES: usize = 256;

/// Counts of the values of bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    counts: [u64; VALUES],
    total: u64,
}

impl Histogram {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut counts = [0; VALUES];
        bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        Self { counts, total: bytes.len() as u64 }
    }

    /// Bytes counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts in so many bins, each a share of the largest.
    pub fn bins(&self, bins: usize) -> Vec<f64> {
        let sums: Vec<u64> =
            self.counts.chunks(VALUES.div_ceil(bins)).map(|bin| bin.iter().sum()).collect();
        let most = sums.iter().copied().max().unwrap_or(0).max(1);
        sums.iter().map(|sum| *sum as f64 / most as f64).collect()
    }

    /// The probability that bytes drawn evenly are at least as uneven, by Pearson's χ² on 255
    /// degrees of freedom in the approximation of Wilson and Hilferty; `None` for fewer than five
    /// bytes per value, where it does not hold.
    pub fn evenness(&self) -> Option<f64> {
        let expected = self.total as f64 / VALUES as f64;
        if expected < 5.0 {
            return None;
        }
        let freedom = (VALUES - 1) as f64;
        let deviations = self.counts.iter().map(|count| (*count as f64 - expected).powi(2));
        let chi_squared = deviations.sum::<f64>() / expected;
        let spread = 2.0 / (9.0 * freedom);
        let normal = ((chi_squared / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
        Some(upper_tail(normal))
    }
}

/// P[N(0, 1) > x], to about 1e-7 (Abramowitz and Stegun, 26.2.17).
fn upper_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - upper_tail(-x);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let coefficients =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = coefficients.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn even_bytes_pass_and_uneven_ones_do_not() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut small = 0;
        for _ in 0..400 {
            let mut bytes = vec![0; 16 * 1024];
            rng.fill_bytes(&mut bytes);
            small += usize::from(Histogram::of(&bytes).evenness().unwrap() < 0.05);
        }
        // 20 are expected, with a deviation of 4.4.
        assert!((4..=38).contains(&small), "{small} of 400 below 0.05");
        let picture: Vec<u8> =
            (0..16 * 1024_u32).map(|i| if i % 5 == 0 { 255 } else { 0 }).collect();
        assert!(Histogram::of(&picture).evenness().unwrap() < 1e-9);
        let counter: Vec<u8> = (0..=255).cycle().take(16 * 1024).collect();
        assert!(Histogram::of(&counter).evenness().unwrap() > 0.999);
    }

    #[test]
    fn few_bytes_are_no_evidence() {
        assert_eq!(Histogram::of(&[0; 1279]).evenness(), None);
        assert_eq!(Histogram::of(&[1, 1, 255]).bins(2), [1.0, 0.5]);
    }

    #[test]
    fn tails_are_those_of_tables() {
        for (x, expected) in [(0.0, 0.5), (1.0, 0.158_655), (1.96, 0.024_998), (-1.0, 0.841_345)] {
            assert!((upper_tail(x) - expected).abs() < 1e-5, "{x}");
        }
    }
}
