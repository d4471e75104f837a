//! A lower bound on ε from one training run with many canaries.

use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// How an attacker did who guessed which canaries were in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    /// Canaries, each put in by a fair coin of its own.
    pub canaries: u64,
    /// For how many the attacker dared a guess; how many is settled before the run.
    pub made: u64,
    /// How many guesses were right.
    pub right: u64,
}

/// Largest ε that is looked at.
const MAX_EPSILON: f64 = 64.0;

impl Guesses {
    /// Guesses "in" for the `made / 2` highest scores and "out" for the `made / 2` lowest.
    pub fn from_scores(scores: &[f64], inside: &[bool], made: usize) -> Self {
        let mut order: Vec<usize> = (0..scores.len().min(inside.len())).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let half = (made / 2).min(order.len() / 2);
        let low = order.iter().take(half).filter(|&&canary| !inside[canary]);
        let high = order.iter().rev().take(half).filter(|&&canary| inside[canary]);
        let right = (low.count() + high.count()) as u64;
        Self { canaries: order.len() as u64, made: 2 * half as u64, right }
    }

    /// Bound on the probability that so many guesses are right if training is (ε, δ)-private.
    ///
    /// Steinke, Nasr & Jagielski 2023, "Privacy Auditing with One (1) Training Run", Theorem 5.2:
    /// with W ~ Binomial(made, e^ε / (1 + e^ε)) it is P[W ≥ right] + 2 · canaries · δ · max_{i ≥ 1}
    /// P[right > W ≥ right − i] / i.
    pub fn probability(&self, epsilon: f64, delta: f64) -> f64 {
        if self.right == 0 {
            return 1.0;
        }
        let Ok(binomial) = Binomial::new(1.0 / (1.0 + (-epsilon).exp()), self.made) else {
            return 1.0;
        };
        let tail = binomial.sf(self.right - 1);
        let (mut below, mut steepest) = (0.0, 0.0f64);
        for i in 1..=self.right {
            below += binomial.pmf(self.right - i);
            steepest = steepest.max(below / i as f64);
        }
        (tail + 2.0 * self.canaries as f64 * delta * steepest).min(1.0)
    }

    /// The largest ε that the guesses refute at this confidence: 0 if they refute none.
    pub fn epsilon_bound(&self, delta: f64, confidence: f64) -> f64 {
        let refuted = |epsilon: f64| self.probability(epsilon, delta) < 1.0 - confidence;
        if !refuted(0.0) {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, MAX_EPSILON);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if refuted(middle) { low = middle } else { high = middle }
        }
        low
    }
}

/// The best bound over several numbers of guesses, each tested at confidence 1 − (1 − confidence) /
/// n, so that all hold together (Bonferroni).
pub fn best_bound(
    scores: &[f64],
    inside: &[bool],
    guesses: &[usize],
    delta: f64,
    confidence: f64,
) -> Option<(Guesses, f64)> {
    let each = 1.0 - (1.0 - confidence) / guesses.len().max(1) as f64;
    let bounds = guesses.iter().map(|&made| {
        let guesses = Guesses::from_scores(scores, inside, made);
        (guesses, guesses.epsilon_bound(delta, each))
    });
    bounds.max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_pure_privacy_by_hand() {
        // All of 20 guesses right: e^ε/(1+e^ε) = 0.05^(1/20), so ε = ln(p / (1 − p)).
        let guesses = Guesses { canaries: 20, made: 20, right: 20 };
        let p = 0.05f64.powf(0.05);
        assert!((guesses.epsilon_bound(0.0, 0.95) - (p / (1.0 - p)).ln()).abs() < 1e-6);
        // 2 right of 2 at ε = 0 and δ = 0.01: 1/4 + 2·2·0.01 · max(P[W=1], P[W<2]/2) = 1/4 + 0.04 ·
        // 1/2.
        let guesses = Guesses { canaries: 2, made: 2, right: 2 };
        assert!((guesses.probability(0.0, 0.01) - 0.27).abs() < 1e-12);
    }

    #[test]
    fn coin_flips_refute_nothing_and_delta_weakens() {
        let guesses = Guesses { canaries: 1000, made: 100, right: 52 };
        assert_eq!(guesses.epsilon_bound(0.0, 0.95), 0.0);
        let guesses = Guesses { right: 99, ..guesses };
        let (pure, approximate) =
            (guesses.epsilon_bound(0.0, 0.95), guesses.epsilon_bound(1e-5, 0.95));
        assert!(pure > 2.9 && approximate > 2.0 && approximate < pure, "{pure} {approximate}");
    }

    #[test]
    fn guesses_take_both_ends_of_the_scores() {
        let guesses = Guesses::from_scores(&[0.1, 5.0, 0.2, 4.0], &[false, true, true, false], 2);
        assert_eq!(guesses, Guesses { canaries: 4, made: 2, right: 2 });
    }
}
