//! Exact random decisions on integers: no floating point, no bias.

use rand::CryptoRng;

/// A uniform integer in [0, n), n ≥ 1 (Lemire, *Fast Random Integer Generation in an Interval*,
/// 2019, with the rejection step that makes it exact).
#[inline]
pub(crate) fn uniform_below<R: CryptoRng + ?Sized>(rng: &mut R, n: u64) -> u64 {
    let mut product = u128::from(rng.next_u64()) * u128::from(n);
    if (product as u64) < n {
        let surplus = n.wrapping_neg() % n;
        while (product as u64) < surplus {
            product = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as u64
}

/// True with probability exp(−numerator / denominator), for numerator ≤ denominator, denominator
/// ≥ 1.
///
/// Canonne, Kamath & Steinke 2020, Algorithm 1: the first k at which Bernoulli(γ/k) fails is odd
/// with probability e^−γ. Bernoulli(γ/k) is drawn as Bernoulli(1/k) ∧ Bernoulli(γ), so that no
/// denominator grows.
#[inline]
pub(crate) fn bernoulli_exp<R: CryptoRng + ?Sized>(
    rng: &mut R,
    numerator: u64,
    denominator: u64,
) -> bool {
    let mut k = 1;
    while (k == 1 || uniform_below(rng, k) == 0) && uniform_below(rng, denominator) < numerator {
        k += 1;
    }
    k % 2 == 1
}

/// True with probability 1/e: [`bernoulli_exp`] at γ = 1, where the first trial always succeeds.
#[inline]
pub(crate) fn bernoulli_exp_one<R: CryptoRng + ?Sized>(rng: &mut R) -> bool {
    let mut k = 2;
    while uniform_below(rng, k) == 0 {
        k += 1;
    }
    k % 2 == 1
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const DRAWS: u32 = 400_000;

    fn assert_probability(name: &str, expected: f64, mut draw: impl FnMut() -> bool) {
        let hits = (0..DRAWS).filter(|_| draw()).count() as f64;
        let n = f64::from(DRAWS);
        let deviation = (n * expected * (1.0 - expected)).sqrt();
        assert!((hits - n * expected).abs() <= 5.0 * deviation, "{name}: {}", hits / n);
    }

    #[test]
    fn exponential_trials_have_their_probability() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (a, b) in [(0u64, 7u64), (1, 7), (3, 7), (7, 7), (1 << 61, 1 << 62)] {
            let expected = (-(a as f64) / b as f64).exp();
            assert_probability("fraction", expected, || bernoulli_exp(&mut rng, a, b));
        }
        assert_probability("one", (-1f64).exp(), || bernoulli_exp_one(&mut rng));
    }

    #[test]
    fn uniform_integers_are_uniform() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut counts = [0u32; 7];
        for _ in 0..DRAWS {
            counts[uniform_below(&mut rng, 7) as usize] += 1;
        }
        let expected = f64::from(DRAWS) / 7.0;
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi < 30.0, "chi-square {chi}, 6 degrees of freedom");
        // Where rejection matters: n = ¾·2⁶⁴, a biased method would favour low numbers 2 : 1.
        let n = 3 << 62;
        assert_probability("rejection", 1.0 / 3.0, || uniform_below(&mut rng, n) < 1 << 62);
    }
}
