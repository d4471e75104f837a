use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::log_space;
use crate::quantity::{NoiseMultiplier, SamplingRate};

fn steps(q: f64, sigma: f64, steps: u64) -> Repeated {
    Repeated::new(SamplingRate::new(q).unwrap(), NoiseMultiplier::new(sigma).unwrap(), steps)
}

fn delta(delta: f64) -> Delta {
    Delta::new(delta).unwrap()
}

/// Outputs of one step with probabilities under the mixture and under the Gaussian, by the midpoint
/// rule.
fn outputs(step: Repeated, count: u32) -> Vec<(f64, f64)> {
    let (low, high) = step.range(9.0);
    let width = (high - low) / f64::from(count);
    let density = |x: f64| (-x * x / (2.0 * step.sigma * step.sigma)).exp();
    let norm = width / (step.sigma * (2.0 * std::f64::consts::PI).sqrt());
    let output = |index: u32| {
        let x = low + (f64::from(index) + 0.5) * width;
        let mixture = (1.0 - step.rate) * density(x) + step.rate * density(x - 1.0);
        (norm * mixture, norm * density(x))
    };
    (0..count).map(output).collect()
}

/// δ(ε) of a pair of steps, or of one and nothing, by numerical integration.
fn integrated(order: Order, first: &[(f64, f64)], second: &[(f64, f64)], epsilon: f64) -> f64 {
    let factor = epsilon.exp();
    let term = |(p, q): (f64, f64)| match order {
        Order::Present => (p - factor * q).max(0.0),
        Order::Absent => (q - factor * p).max(0.0),
    };
    let rows =
        first.iter().map(|a| second.iter().map(|b| term((a.0 * b.0, a.1 * b.1))).sum::<f64>());
    rows.sum()
}

#[test]
fn one_step_agrees_with_numerical_integration_in_both_orders() {
    for (q, sigma) in [(0.03, 1.2), (0.5, 1.0), (0.01, 0.5), (0.3, 4.0), (0.999, 2.0), (1.0, 1.5)] {
        let step = steps(q, sigma, 1);
        let outputs = outputs(step, 200_000);
        for target in [1e-3, 1e-5, 1e-7] {
            let bounds = bounds(&[step], delta(target)).unwrap();
            for order in Order::BOTH {
                let bound = bounds[order as usize];
                let at = |epsilon| integrated(order, &outputs, &[(1.0, 1.0)], epsilon);
                assert!(at(bound) <= target * (1.0 + 1e-6), "{q} {sigma} {target} {order:?}");
                // The order that counts is tight, the other is as exact as is of use.
                let slack = 1e-3 * bounds[0].max(bounds[1]);
                let tight = bound <= slack || at(bound - slack) > target;
                assert!(tight, "{q} {sigma} {target} {order:?}: {bound}");
            }
        }
    }
}

#[test]
fn two_different_steps_agree_with_numerical_integration_in_both_orders() {
    for (a, b) in [((0.1, 1.0), (0.3, 2.0)), ((0.02, 0.6), (1.0, 5.0)), ((0.5, 3.0), (0.05, 0.8))] {
        let (first, second) = (steps(a.0, a.1, 1), steps(b.0, b.1, 1));
        let bounds = bounds(&[first, second], delta(1e-4)).unwrap();
        let (first, second) = (outputs(first, 2500), outputs(second, 2500));
        for order in Order::BOTH {
            let bound = bounds[order as usize];
            let at = |epsilon| integrated(order, &first, &second, epsilon);
            assert!(at(bound) <= 1e-4 * (1.0 + 1e-4), "{a:?} {b:?} {order:?}");
            let slack = 1e-3 * bounds[0].max(bounds[1]);
            assert!(bound <= slack || at(bound - slack) > 1e-4, "{a:?} {b:?} {order:?}: {bound}");
        }
    }
}

/// Balle & Wang 2018, Theorem 8: δ = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ), μ = √T/σ.
#[test]
fn without_sampling_it_is_the_exact_gaussian_however_small_delta() {
    let log_phi = |x: f64| log_space::erfc(-x / std::f64::consts::SQRT_2) - std::f64::consts::LN_2;
    let (mut least, mut most) = (f64::MAX, f64::MIN);
    for (sigma, times) in [(0.5, 1), (2.149, 1), (20.0, 100u32), (100.0, 1), (4.0, 10_000)] {
        let mu = f64::from(times).sqrt() / sigma;
        let log_delta = |e: f64| {
            log_space::subtract(log_phi(mu / 2.0 - e / mu), e + log_phi(-mu / 2.0 - e / mu))
        };
        for target in [1e-2, 1e-5, 1e-10, 1e-100, 1e-300] {
            let (mut low, mut high) = (0.0, 1e6);
            for _ in 0..200 {
                let middle = (low + high) / 2.0;
                if log_delta(middle) > f64::ln(target) { low = middle } else { high = middle }
            }
            let got = epsilon(&[steps(1.0, sigma, times.into())], delta(target)).unwrap();
            // At most 1e-12 where Φ is nearly constant and its difference rounds.
            if high > 1e-3 {
                least = least.min(got / high - 1.0);
                most = most.max(got / high - 1.0);
            }
        }
    }
    println!("relative deviation from the exact Gaussian: {least:e} to {most:e}");
    assert!(least > -1e-9 && most < 2e-3, "{least:e} {most:e}");
}

#[test]
fn epsilon_is_monotone_in_noise_rate_steps_and_delta() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for _ in 0..40 {
        let q: f64 = f64::exp(rng.random_range(-6.0..-0.1));
        let sigma: f64 = f64::exp(rng.random_range(-0.7..2.0));
        let (times, target) = (rng.random_range(1..600), f64::exp(rng.random_range(-20.0..-5.0)));
        let at =
            |q, sigma, times, target| epsilon(&[steps(q, sigma, times)], delta(target)).unwrap();
        let one = at(q, sigma, times, target);
        let case = format!("{q} {sigma} {times} {target:e}: {one}");
        assert!(at(q, 1.02 * sigma, times, target) <= one, "{case}");
        assert!(at((1.02 * q).min(1.0), sigma, times, target) >= one, "{case}");
        assert!(at(q, sigma, times + 1 + times / 20, target) >= one, "{case}");
        assert!(at(q, sigma, times, 1.2 * target) <= one, "{case}");
    }
}

/// Between two powers of two the grid is the same, so that one step more is never less.
#[test]
fn each_step_adds_to_epsilon() {
    let at = |times| epsilon(&[steps(0.03, 1.5, times)], delta(1e-5)).unwrap();
    let epsilons: Vec<f64> = (257..=320).map(at).collect();
    assert!(epsilons.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn parts_add_up_to_the_whole_in_any_order() {
    let whole = epsilon(&[steps(0.03, 1.5, 300), steps(0.01, 0.9, 500)], delta(1e-5)).unwrap();
    let parts = [steps(0.01, 0.9, 200), steps(0.03, 1.5, 300), steps(0.01, 0.9, 300)];
    let parts = epsilon(&parts, delta(1e-5)).unwrap();
    assert!((whole / parts - 1.0).abs() < 1e-4, "{whole} {parts}");
    let halves = epsilon(&[steps(0.03, 1.5, 300), steps(0.03, 1.5, 300)], delta(1e-5)).unwrap();
    let one = epsilon(&[steps(0.03, 1.5, 600)], delta(1e-5)).unwrap();
    assert!((halves / one - 1.0).abs() < 1e-4, "{halves} {one}");
    let gaussian = epsilon(&[steps(1.0, 40.0, 60), steps(1.0, 20.0, 85)], delta(1e-5)).unwrap();
    let same = epsilon(&[steps(1.0, 20.0, 100)], delta(1e-5)).unwrap();
    assert!((gaussian / same - 1.0).abs() < 1e-4, "{gaussian} {same}");
}

#[test]
fn rejects_grids_that_would_be_too_fine_at_once() {
    let start = std::time::Instant::now();
    for step in [
        steps(1e-3, 100.0, 100_000_000),
        steps(0.03, 1.5, 1 << 40),
        steps(0.1, 1e-4, 1),
        steps(1.0, 1e-200, 1),
        steps(1e-300, 1.0, 1),
    ] {
        let error = epsilon(&[step], delta(1e-5)).unwrap_err();
        assert!(matches!(error, LossError::Grid { most: MOST_POINTS, .. }), "{error}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2));
}

#[test]
fn nothing_costs_nothing_and_less_than_delta_next_to_nothing() {
    assert_eq!(epsilon(&[], delta(1e-5)), Ok(0.0));
    assert!(epsilon(&[steps(1e-6, 1.0, 1)], delta(1e-5)).unwrap() < 1e-12);
    assert!(epsilon(&[steps(0.03, 1.5, 100)], delta(0.9)).unwrap() < 1e-12);
}
