//! What it costs to choose the best of many trainings.

use rand::CryptoRng;

use crate::accountant::{AccountingError, Segment, check};
use crate::discrete_gaussian::DiscreteGaussian;
use crate::quantity::Delta;
use crate::renyi::RenyiCurve;

/// More trainings on the average than anybody tries.
const MOST_TRIALS: f64 = 10_000.0;

/// Why a search cannot be accounted for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SelectionError {
    /// Not a number of trainings.
    #[error("{got} trainings on the average are not in 1 to {MOST_TRIALS}")]
    Trials {
        /// The number asked for.
        got: f64,
    },
}

/// A search of a random number of trainings, of which the best is kept and the others forgotten.
///
/// Papernot & Steinke, *Hyperparameter Tuning with Rényi Differential Privacy* (2022), Theorem 2
/// with η = 0: the number K of trainings has the logarithmic distribution
/// P\[K = k\] = (1 − γ)^k / (k · ln(1/γ)) for k ≥ 1, each training is with a setting drawn
/// uniformly, and what is kept is that of the best score. If one training and its score together
/// have Rényi divergence D(α) at every order, what is kept has at most
///
/// D(α) + min over α̂ of ((1 − 1/α̂) · D(α̂) + ln(1/γ)/α̂) + ln E\[K\] / (α − 1).
///
/// Batches that overflow their blocks: given that none of the K trainings has one, they are
/// independent, and K is distributed with 1 − γ′ = (1 − γ)(1 − p), for which the bound is no
/// larger. So it holds at δ less E\[K\] times the probability of an overflow in one training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// 1/γ.
    odds: f64,
}

/// What a search and one training after it spend, by Rényi divergences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectionEpsilon {
    /// ε of the search alone.
    pub search: f64,
    /// ε of both.
    pub all: f64,
    /// Deviation of the noise that goes on the number of validation images that are recognised.
    pub count_noise: u64,
}

impl Selection {
    /// A search of so many trainings on the average.
    ///
    /// # Errors
    /// [`SelectionError::Trials`].
    pub fn new(mean: f64) -> Result<Self, SelectionError> {
        if !(1.0..=MOST_TRIALS).contains(&mean) {
            return Err(SelectionError::Trials { got: mean });
        }
        // The mean grows with the odds, and is less than them.
        let (mut low, mut high) = (1.0, mean * mean + 2.0);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if (Self { odds: middle }).mean() < mean { low = middle } else { high = middle }
        }
        Ok(Self { odds: high })
    }

    /// Trainings on the average: (1/γ − 1) / ln(1/γ).
    pub fn mean(&self) -> f64 {
        let excess = self.odds - 1.0;
        if excess < 1e-9 { 1.0 } else { excess / excess.ln_1p() }
    }

    /// Draws a number of trainings. It has to be kept to, whatever comes of them.
    pub fn draw(&self, rng: &mut impl CryptoRng) -> u64 {
        let uniform = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let again = (self.odds - 1.0) / self.odds;
        if again == 0.0 {
            return 1;
        }
        let (mut trials, mut power, mut below) = (1u64, again / self.odds.ln(), 0.0);
        loop {
            below += power / trials as f64;
            // Where probabilities are lost in rounding the tail is.
            if uniform < below || power == 0.0 {
                return trials;
            }
            power *= again;
            trials += 1;
        }
    }

    /// What the search spends, and what it spends together with a training afterwards on all of the
    /// images, for whichever setting: each segment is one setting's.
    ///
    /// An image of the search is trained on or validated with. The number of those that are
    /// recognised, which one image changes by one, gets as much noise as makes the second no worse
    /// than the first ([`noised_count`]): λ/2s² ≤ D(λ).
    ///
    /// # Errors
    /// [`AccountingError`] for segments of no meaning, or if overflows leave nothing of δ.
    pub fn epsilon(
        &self,
        searched: &[Segment],
        afterwards: &[Segment],
        delta: Delta,
    ) -> Result<SelectionEpsilon, AccountingError> {
        let (trial, lost) = worst(searched)?;
        let (training, lost_then) = worst(afterwards)?;
        let left = |overflow: f64| {
            let left = Delta::new(delta.get() - overflow);
            left.map_err(|_| AccountingError::DeltaExhausted { delta: delta.get(), overflow })
        };
        let lost = self.mean() * lost;
        let mut total = trial.selected(self.odds.ln(), self.mean().ln());
        let search = total.epsilon(left(lost)?).improved;
        total.add(&training, 1);
        let all = total.epsilon(left(lost + lost_then)?).improved;
        let noise = trial.gaussian_within().ceil();
        if !(all.is_finite() && noise <= DiscreteGaussian::MAX_SCALE as f64) {
            return Err(AccountingError::Infinite);
        }
        Ok(SelectionEpsilon { search, all, count_noise: (noise as u64).max(1) })
    }
}

/// A count with discrete Gaussian noise of that deviation, at least 1 and at most 2³¹.
pub fn noised_count(count: u64, deviation: u64, rng: &mut impl CryptoRng) -> i64 {
    let deviation = deviation.clamp(1, DiscreteGaussian::MAX_SCALE);
    let noise = DiscreteGaussian::new(deviation).map_or(0, |gaussian| gaussian.sample(rng));
    i64::try_from(count).unwrap_or(i64::MAX).saturating_add(noise)
}

/// The largest divergence at every order and the largest probability of an overflow.
fn worst(segments: &[Segment]) -> Result<(RenyiCurve, f64), AccountingError> {
    let (mut largest, mut lost) = (RenyiCurve::zero(), 0.0f64);
    for segment in segments {
        check(segment)?;
        let mut curve = RenyiCurve::zero();
        curve.add(&RenyiCurve::new(segment.sampling_rate, segment.noise_multiplier), segment.steps);
        largest.raise_to(&curve);
        lost = lost.max(segment.steps as f64 * segment.overflow_probability);
    }
    Ok((largest, lost))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::quantity::{NoiseMultiplier, SamplingRate};
    use crate::renyi::orders;

    fn gaussian(sigma: f64) -> Segment {
        Segment {
            sampling_rate: SamplingRate::new(1.0).unwrap(),
            noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
            steps: 1,
            overflow_probability: 0.0,
        }
    }

    fn normal(x: f64, mean: f64, sigma: f64) -> (f64, f64) {
        let z = (x - mean) / sigma;
        let density = (-0.5 * z * z).exp() / (sigma * std::f64::consts::TAU.sqrt());
        (density, 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2))
    }

    /// Density of the largest of K outputs: p(x) · Σ P[K = k] k F(x)^(k − 1).
    fn best(selection: Selection, x: f64, mean: f64, sigma: f64) -> f64 {
        let (density, below) = normal(x, mean, sigma);
        let again = 1.0 - 1.0 / selection.odds;
        let growth =
            if again < 1e-9 { 1.0 } else { again / ((1.0 - again * below) * selection.odds.ln()) };
        density * growth
    }

    fn integral(sigma: f64, of: impl Fn(f64) -> f64) -> f64 {
        let (low, step) = (-14.0 * sigma, sigma / 400.0);
        (0..12_000).map(|i| of(low + f64::from(i) * step) * step).sum()
    }

    /// The score is the output itself, which is what it can betray most of.
    #[test]
    fn bounds_hold_for_the_best_of_gaussians() {
        let delta = Delta::new(1e-5).unwrap();
        for sigma in [1.0, 2.5, 6.0] {
            for mean in [1.0, 2.0, 10.0, 300.0] {
                let selection = Selection::new(mean).unwrap();
                assert!((selection.mean() - mean).abs() < 1e-6 * mean, "{selection:?}");
                let whole = integral(sigma, |x| best(selection, x, 0.0, sigma));
                assert!((whole - 1.0).abs() < 1e-6, "{whole}");
                let mut curve = RenyiCurve::zero();
                let one = NoiseMultiplier::new(sigma).unwrap();
                curve.add(&RenyiCurve::new(SamplingRate::new(1.0).unwrap(), one), 1);
                let bound = curve.selected(selection.odds.ln(), selection.mean().ln());
                for (alpha, bound) in orders().into_iter().zip(bound.values()) {
                    if alpha > 12.0 {
                        continue;
                    }
                    for (with, without) in [(1.0, 0.0), (0.0, 1.0)] {
                        let moment = integral(sigma, |x| {
                            let p = best(selection, x, with, sigma);
                            let q = best(selection, x, without, sigma);
                            if p > 0.0 && q > 0.0 {
                                (alpha * p.ln() + (1.0 - alpha) * q.ln()).exp()
                            } else {
                                0.0
                            }
                        });
                        let divergence = moment.ln() / (alpha - 1.0);
                        assert!(
                            divergence <= bound * (1.0 + 1e-6),
                            "{alpha}: {divergence} > {bound}"
                        );
                    }
                }
                let epsilon =
                    selection.epsilon(&[gaussian(sigma)], &[gaussian(1e6)], delta).unwrap();
                for (with, without) in [(1.0, 0.0), (0.0, 1.0)] {
                    let seen = integral(sigma, |x| {
                        let p = best(selection, x, with, sigma);
                        (p - epsilon.search.exp() * best(selection, x, without, sigma)).max(0.0)
                    });
                    assert!(seen <= 1e-5, "sigma {sigma}, {mean} trials: {seen}");
                }
            }
        }
    }

    #[test]
    fn more_trials_and_worse_settings_cost_more_and_one_trial_costs_little() {
        let delta = Delta::new(1e-5).unwrap();
        let of = |mean: f64, searched: &[Segment]| {
            Selection::new(mean).unwrap().epsilon(searched, &[gaussian(3.0)], delta).unwrap()
        };
        let (one, ten, hundred) =
            (of(1.0, &[gaussian(3.0)]), of(10.0, &[gaussian(3.0)]), of(100.0, &[gaussian(3.0)]));
        assert!(
            one.search < ten.search && ten.search < hundred.search,
            "{one:?} {ten:?} {hundred:?}"
        );
        assert!(one.all < ten.all && ten.search < ten.all);
        // One training of σ = 3 alone, and ten of which the best is kept.
        let mut alone = RenyiCurve::zero();
        alone.add(
            &RenyiCurve::new(SamplingRate::new(1.0).unwrap(), NoiseMultiplier::new(3.0).unwrap()),
            1,
        );
        let alone = alone.epsilon(delta).improved;
        assert!(
            one.search < 1.02 * alone && (1.2..1.9).contains(&(ten.search / alone)),
            "{alone} {one:?} {ten:?}"
        );
        assert_eq!(of(10.0, &[gaussian(3.0), gaussian(1.5)]), of(10.0, &[gaussian(1.5)]));
        // λ/2s² ≤ λ/2σ².
        assert_eq!(ten.count_noise, 3);
    }

    #[test]
    fn overflows_of_all_trainings_are_taken_from_delta() {
        let (selection, delta) = (Selection::new(10.0).unwrap(), Delta::new(1e-5).unwrap());
        let lossy = |overflow_probability| Segment { overflow_probability, ..gaussian(3.0) };
        let of = |searched, afterwards| {
            selection.epsilon(&[lossy(searched)], &[lossy(afterwards)], delta)
        };
        let left = selection
            .epsilon(&[gaussian(3.0)], &[gaussian(3.0)], Delta::new(0.6e-5).unwrap())
            .unwrap();
        assert!((of(3e-7, 1e-6).unwrap().all - left.all).abs() < 1e-9);
        let error = of(9e-7, 1e-6).unwrap_err();
        assert!(matches!(error, AccountingError::DeltaExhausted { .. }), "{error}");
    }

    #[test]
    fn numbers_of_trials_have_the_logarithmic_distribution() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        for mean in [1.0, 3.0, 12.0] {
            let selection = Selection::new(mean).unwrap();
            let draws: Vec<u64> = (0..40_000).map(|_| selection.draw(&mut rng)).collect();
            let again = 1.0 - 1.0 / selection.odds;
            for k in 1..=6u64 {
                let seen = draws.iter().filter(|&&draw| draw == k).count() as f64 / 40_000.0;
                let expected = if again == 0.0 {
                    f64::from(k == 1)
                } else {
                    again.powi(k as i32) / (k as f64 * selection.odds.ln())
                };
                assert!((seen - expected).abs() < 0.012, "{mean}: {k} {seen} {expected}");
            }
            let average = draws.iter().sum::<u64>() as f64 / 40_000.0;
            assert!((average / mean - 1.0).abs() < 0.05, "{mean}: {average}");
        }
    }

    #[test]
    fn counts_are_noised() {
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let noise: Vec<f64> =
            (0..20_000).map(|_| (noised_count(500, 6, &mut rng) - 500) as f64).collect();
        let variance = noise.iter().map(|noise| noise * noise).sum::<f64>() / 20_000.0;
        assert!((variance / 36.0 - 1.0).abs() < 0.06, "{variance}");
    }

    #[test]
    fn rejects_numbers_of_trials_that_are_none() {
        for got in [0.0, 0.99, -1.0, f64::INFINITY, 10_001.0] {
            assert_eq!(Selection::new(got), Err(SelectionError::Trials { got }));
        }
        assert!(Selection::new(f64::NAN).is_err());
    }
}
