//! A lower bound on ε from many independent trials with one example in or out.

use statrs::distribution::{Binomial, DiscreteCDF};

/// How often a test said "in", in independent trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hits {
    count: u64,
    of: u64,
}

/// Lower bound on ε at δ from scores of independent trials without (`out`) and with (`inside`) the
/// example, higher scores speaking for "in".
///
/// The thresholds are chosen on the first half of the trials; the second half gives, by Clopper &
/// Pearson (1934), a lower bound on the rate p at which the likelier side crosses it and an upper
/// bound on the other's rate p′, and (ε, δ)-privacy demands p ≤ e^ε p′ + δ. One threshold looks for
/// "in" and one for "out"; all four rates hold together with the given confidence.
pub fn epsilon_bound(out: &[f64], inside: &[f64], delta: f64, confidence: f64) -> f64 {
    let negate = |scores: &[f64]| -> Vec<f64> { scores.iter().map(|score| -score).collect() };
    let error = (1.0 - confidence) / 4.0;
    let upward = one_side(out, inside, delta, error);
    upward.max(one_side(&negate(inside), &negate(out), delta, error)).max(0.0)
}

fn one_side(rare: &[f64], common: &[f64], delta: f64, error: f64) -> f64 {
    let (rare_first, rare_second) = rare.split_at(rare.len() / 2);
    let (common_first, common_second) = common.split_at(common.len() / 2);
    let mut candidates = [rare_first, common_first].concat();
    candidates.sort_by(f64::total_cmp);
    // Some hundred thresholds, denser towards the top.
    let count = candidates.len();
    let places = (0..200).map(|k| count - 1 - ((count as f64).powf(f64::from(k) / 200.0)) as usize);
    let bound = |threshold: f64, rare: &[f64], common: &[f64]| {
        let (common, rare) = (hits(common, threshold), hits(rare, threshold));
        ((lower_rate(common, error) - delta) / upper_rate(rare, error)).ln()
    };
    if count == 0 {
        return 0.0;
    }
    let finite = |value: f64| if value.is_nan() { f64::NEG_INFINITY } else { value };
    let threshold = places
        .map(|place| candidates[place.min(count - 1)])
        .max_by(|&a, &b| {
            let [a, b] = [a, b].map(|t| finite(bound(t, rare_first, common_first)));
            a.total_cmp(&b)
        })
        .unwrap_or(f64::INFINITY);
    finite(bound(threshold, rare_second, common_second))
}

fn hits(scores: &[f64], threshold: f64) -> Hits {
    let count = scores.iter().filter(|&&score| score > threshold).count() as u64;
    Hits { count, of: scores.len() as u64 }
}

/// The rate at which so many hits or more have probability `error`.
fn lower_rate(hits: Hits, error: f64) -> f64 {
    if hits.count == 0 {
        return 0.0;
    }
    bisect(|rate| Binomial::new(rate, hits.of).map_or(1.0, |b| b.sf(hits.count - 1)) < error)
}

/// The rate at which so many hits or fewer have probability `error`.
fn upper_rate(hits: Hits, error: f64) -> f64 {
    if hits.count == hits.of {
        return 1.0;
    }
    bisect(|rate| Binomial::new(rate, hits.of).map_or(0.0, |b| b.cdf(hits.count)) > error)
}

/// Where `below` turns false.
fn bisect(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_clopper_and_pearson() {
        // No hit in n: 1 − error^(1/n). All hits in n: error^(1/n).
        let none = Hits { count: 0, of: 50 };
        assert!((upper_rate(none, 0.025) - (1.0 - 0.025f64.powf(0.02))).abs() < 1e-9);
        let all = Hits { count: 50, of: 50 };
        assert!((lower_rate(all, 0.025) - 0.025f64.powf(0.02)).abs() < 1e-9);
    }

    #[test]
    fn randomised_response_is_bounded_by_its_epsilon() {
        // In answers 1 three times in four, out one time in four: ε = ln 3.
        let answers = |ones: usize| (0..4000).map(|t| f64::from(u8::from(t % 4 < ones))).collect();
        let (out, inside): (Vec<f64>, Vec<f64>) = (answers(1), answers(3));
        let bound = epsilon_bound(&out, &inside, 0.0, 0.95);
        assert!(bound > 0.9 && bound < 3f64.ln(), "{bound}");
    }
}
