//! Rényi divergence of one step of the Poisson-subsampled Gaussian mechanism, as a function of the
//! order.

use crate::log_space;
use crate::quantity::{Delta, NoiseMultiplier, SamplingRate};

/// Terms after which the series of a fractional order is given up.
const MAX_TERMS: u32 = 200_000;
/// Logarithms of moments below this are lost in the rounding of a fractional order's series.
const MIN_LOG_MOMENT: f64 = 1e-8;

/// The orders α at which divergences are kept: those of `dp_accounting` and Opacus (1.1 to 10.9 by
/// tenths, 11 to 63, 128, 256, 512, 1024). Any set gives a sound ε; a richer set a smaller one.
pub(crate) fn orders() -> Vec<f64> {
    let tenths = (11..110).map(|tenth| f64::from(tenth) / 10.0);
    let integers = (11..64).map(f64::from);
    tenths.chain(integers).chain([128.0, 256.0, 512.0, 1024.0]).collect()
}

/// What Rényi divergences prove.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RenyiEpsilon {
    /// By the conversion of Canonne, Kamath & Steinke.
    pub improved: f64,
    /// By that of Mironov, never the smaller.
    pub classical: f64,
}

/// Rényi divergence of one step at each of [`orders`], in nats. Computing it takes about a
/// millisecond; composing it is one multiplication per order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RenyiCurve(Vec<f64>);

impl RenyiCurve {
    /// Mironov, Talwar & Zhang, *Rényi Differential Privacy of the Sampled Gaussian Mechanism*
    /// (2019), Theorem 4 and §3.3: D_α = ln A(α) / (α − 1), for neighbours by
    /// zero-out as for adding or removing an example.
    pub(crate) fn new(rate: SamplingRate, noise: NoiseMultiplier) -> Self {
        let (q, sigma) = (rate.get(), noise.get());
        let divergence = |alpha: f64| {
            if q == 1.0 {
                alpha / (2.0 * sigma * sigma)
            } else if alpha.fract() == 0.0 {
                log_moment_integer(q, sigma, alpha) / (alpha - 1.0)
            } else {
                let log_moment = log_moment_fractional(q, sigma, alpha)
                    .unwrap_or_else(|| log_moment_between(q, sigma, alpha));
                log_moment / (alpha - 1.0)
            }
        };
        // What is too large to be computed is infinite: no order may look free because of it.
        let bounded = |divergence: f64| if divergence >= 0.0 { divergence } else { f64::INFINITY };
        Self(orders().into_iter().map(divergence).map(bounded).collect())
    }

    /// Divergence of the empty composition.
    pub(crate) fn zero() -> Self {
        Self(vec![0.0; orders().len()])
    }

    /// Adds `steps` adaptive repetitions of `step` (RDP composes by addition).
    pub(crate) fn add(&mut self, step: &RenyiCurve, steps: u64) {
        for (total, rdp) in self.0.iter_mut().zip(&step.0) {
            *total += rdp * steps as f64;
        }
    }

    /// Raises the divergence at every order to that of `other` where it is smaller.
    pub(crate) fn raise_to(&mut self, other: &RenyiCurve) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = own.max(*other);
        }
    }

    /// Divergence of the best of K outputs, given ln(1/γ) and ln E\[K\]
    /// ([`Selection`](crate::Selection)).
    pub(crate) fn selected(&self, log_odds: f64, log_mean: f64) -> Self {
        let once = orders().into_iter().zip(&self.0);
        let price = once.clone().map(|(alpha, rdp)| (1.0 - 1.0 / alpha) * rdp + log_odds / alpha);
        let price = price.fold(f64::INFINITY, f64::min);
        Self(once.map(|(alpha, rdp)| rdp + price + log_mean / (alpha - 1.0)).collect())
    }

    /// The least deviation of Gaussian noise on what one example changes by one that has no larger
    /// divergence at any order: α/2s² ≤ D(α).
    pub(crate) fn gaussian_within(&self) -> f64 {
        let deviation = |(alpha, rdp): (f64, &f64)| (alpha / (2.0 * rdp)).sqrt();
        orders().into_iter().zip(&self.0).map(deviation).fold(0.0, f64::max)
    }

    /// The divergences, by [`orders`].
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The smallest ε over the orders, at δ; infinite where every order's divergence is.
    pub(crate) fn epsilon(&self, delta: Delta) -> RenyiEpsilon {
        let delta = delta.get();
        let mut best = RenyiEpsilon { improved: f64::INFINITY, classical: f64::INFINITY };
        for (alpha, &rdp) in orders().into_iter().zip(&self.0) {
            let classical = rdp - delta.ln() / (alpha - 1.0);
            // δ ≥ √(1 − exp(−KL)) bounds the total variation (Bretagnolle & Huber): ε = 0 will do.
            let improved = if delta * delta + (-rdp).exp_m1() >= 0.0 {
                0.0
            } else {
                rdp + (-1.0 / alpha).ln_1p() - (delta * alpha).ln() / (alpha - 1.0)
            };
            best.classical = best.classical.min(classical);
            best.improved = best.improved.min(improved.max(0.0));
        }
        best
    }
}

/// ln A(α) for integer α, where A(α) = Σ C(α,i) (1−q)^(α−i) q^i e^{(i²−i)/2σ²}.
///
/// The weights sum to 1, so A − 1 is a sum of positive terms with e^x − 1 in place of e^x: that
/// keeps small divergences exact to rounding.
fn log_moment_integer(q: f64, sigma: f64, alpha: f64) -> f64 {
    let (log_q, log_p) = (q.ln(), (-q).ln_1p());
    let mut excess = f64::NEG_INFINITY;
    for i in (2..=alpha as u32).map(f64::from) {
        let weight = log_space::binomial(alpha, i) + i * log_q + (alpha - i) * log_p;
        let growth = log_space::exp_minus_one((i * i - i) / (2.0 * sigma * sigma));
        excess = log_space::add(excess, weight + growth);
    }
    log_space::one_plus_exp(excess)
}

/// Upper bound on ln A(α) from the integers around α: ln A is convex, and ln A(1) = 0.
fn log_moment_between(q: f64, sigma: f64, alpha: f64) -> f64 {
    let (low, part) = (alpha.floor(), alpha.fract());
    (1.0 - part) * log_moment_integer(q, sigma, low)
        + part * log_moment_integer(q, sigma, low + 1.0)
}

/// ln A(α) for fractional α: the integral split at z₀ = σ² ln(1/q − 1) + 1/2, a binomial series on
/// each side. `None` where the series has no correct digits to give.
fn log_moment_fractional(q: f64, sigma: f64, alpha: f64) -> Option<f64> {
    /// Terms below e⁻³⁰ are dropped: A is at least 1.
    const NEGLIGIBLE: f64 = -30.0;
    let (log_q, log_p) = (q.ln(), (-q).ln_1p());
    let variance = sigma * sigma;
    let scale = std::f64::consts::SQRT_2 * sigma;
    let z0 = variance * (1.0 / q - 1.0).ln() + 0.5;
    let (mut left, mut right) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let (mut log_binomial, mut positive) = (0.0, true);
    for i in (0..MAX_TERMS).map(f64::from) {
        let j = alpha - i;
        let below = log_binomial + i * log_q + j * log_p + (i * i - i) / (2.0 * variance)
            - std::f64::consts::LN_2
            + log_space::erfc((i - z0) / scale);
        let above = log_binomial + j * log_q + i * log_p + (j * j - j) / (2.0 * variance)
            - std::f64::consts::LN_2
            + log_space::erfc((z0 - j) / scale);
        // Little noise makes the factors of a term overflow one by one.
        if !(below < f64::INFINITY && above < f64::INFINITY) {
            return None;
        }
        let combine = if positive { log_space::add } else { log_space::subtract };
        left = combine(left, below);
        right = combine(right, above);
        if i > alpha && below.max(above) < NEGLIGIBLE {
            return Some(log_space::add(left, right)).filter(|&log| log > MIN_LOG_MOMENT);
        }
        log_binomial += (j.abs() / (i + 1.0)).ln();
        positive ^= j < 0.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A(α) = E_{z ~ N(0,σ²)} [(1 − q + q e^{(2z−1)/2σ²})^α], by the trapezoidal rule.
    fn moment_by_quadrature(q: f64, sigma: f64, alpha: f64) -> f64 {
        let (steps, reach) = (400_000, 40.0);
        let h = 2.0 * reach * sigma / f64::from(steps);
        let sum: f64 = (0..=steps)
            .map(|k| {
                let z = -reach * sigma + h * f64::from(k);
                let ratio = 1.0 - q + q * ((2.0 * z - 1.0) / (2.0 * sigma * sigma)).exp();
                ratio.powf(alpha) * (-z * z / (2.0 * sigma * sigma)).exp()
            })
            .sum();
        (sum * h / (sigma * (2.0 * std::f64::consts::PI).sqrt())).ln()
    }

    #[test]
    fn moments_agree_with_quadrature_at_integer_and_fractional_orders() {
        for (q, sigma) in [(0.01, 1.0), (0.03, 1.77), (0.3, 2.0), (0.5, 4.0), (0.9, 3.0)] {
            for alpha in [1.1, 1.5, 2.0, 2.7, 4.0, 7.3, 16.0] {
                let expected = moment_by_quadrature(q, sigma, alpha);
                let got = if alpha.fract() == 0.0 {
                    log_moment_integer(q, sigma, alpha)
                } else {
                    log_moment_fractional(q, sigma, alpha).unwrap()
                };
                let bound = 1e-8 * expected + 1e-11;
                assert!((got - expected).abs() < bound, "{q} {sigma} {alpha}: {got} {expected}");
                let between = log_moment_between(q, sigma, alpha);
                assert!(between >= expected * (1.0 - 1e-8), "{q} {sigma} {alpha}: {between}");
            }
        }
    }

    /// Where rounding eats the series, an order must not look free of charge.
    #[test]
    fn tiny_divergences_are_not_rounded_away() {
        let (q, sigma) = (1e-5, 1000.0);
        let rate = SamplingRate::new(q).unwrap();
        let curve = RenyiCurve::new(rate, NoiseMultiplier::new(sigma).unwrap());
        // D_α ≈ α q² (e^{1/σ²} − 1) / 2 for small q, the divergence of order α to second order.
        let unit = q * q * (1.0 / (sigma * sigma)).exp_m1() / 2.0;
        for (alpha, &rdp) in orders().iter().zip(&curve.0).take(90) {
            assert!(rdp >= 0.999 * alpha * unit, "order {alpha}: {rdp:e}");
            assert!(rdp <= 1.001 * alpha.ceil() * unit, "order {alpha}: {rdp:e}");
        }
    }

    /// Where nearly no noise makes terms overflow, an order must not look free of charge either.
    #[test]
    fn divergences_too_large_to_compute_are_infinite() {
        for sigma in [1e-100, 1e-153, 1e-155, 1e-162, 5e-324] {
            for q in [1e-300, 0.1, 1.0] {
                let rate = SamplingRate::new(q).unwrap();
                let curve = RenyiCurve::new(rate, NoiseMultiplier::new(sigma).unwrap());
                let epsilon = curve.epsilon(Delta::new(1e-5).unwrap());
                assert!(curve.0.iter().all(|&rdp| rdp > 1e100), "{q} {sigma:e}");
                assert!(epsilon.improved > 1e100 && epsilon.classical > 1e100, "{q} {sigma:e}");
            }
        }
    }

    #[test]
    fn divergence_grows_with_the_order_and_the_rate() {
        let noise = NoiseMultiplier::new(1.3).unwrap();
        let low = RenyiCurve::new(SamplingRate::new(0.01).unwrap(), noise);
        let high = RenyiCurve::new(SamplingRate::new(0.02).unwrap(), noise);
        assert!(low.0.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(low.0.iter().zip(&high.0).all(|(a, b)| a < b));
    }
}
