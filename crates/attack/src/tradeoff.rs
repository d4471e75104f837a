//! A test of the whole trade-off curve that a mechanism claims, not of one ε.
//!
//! A Gaussian mechanism of noise multiplier σ says of one example in or out at most what one number
//! does that is drawn from N(1, σ²) or from N(0, σ²): whatever is released is a post-processing of
//! such a number (Blackwell; Dong, Roth & Su 2022, "Gaussian Differential Privacy", Theorem 2).
//! So for a fair coin, no guess p of the probability of "in" has ln 2 + ln p(truth) above I(1/σ)
//! on average, the information that the number has of the coin: that is the curve as a whole,
//! every threshold with the weight that tells most. (ε, δ) is one line that touches the curve, and
//! noise that is a tenth too small hardly moves it.
//!
//! Trials are counted by betting against the claim (Waudby-Smith & Ramdas 2024, "Estimating means
//! of bounded random variables by betting"): a capital of 1 is multiplied in every trial by a
//! factor of mean at most 1 if the claim holds, so that it ever reaches 1/p with probability at
//! most p (Ville). No limit theorem, whatever the number of trials.

/// Logarithms of likelihood ratios beyond count as these.
const SURE: f64 = 8.0;
/// The noise, over that claimed, against which the stakes are chosen.
const SUSPECTED: f64 = 0.9;
/// Nodes of the quadrature.
const NODES: i32 = 4000;

/// The probability, at most, of scores that tell so much if the mechanism is what it claims to be:
/// Gaussian with this noise multiplier, on all examples, in one step.
///
/// `scores` are the attacker's logarithms of likelihood ratios of "in" to "out" of independent
/// trials, or whatever he has of that kind; `inside` the fair coins. Below 0.05 the claim is
/// refuted with 95 % confidence.
pub fn probability(scores: &[f64], inside: &[bool], noise_multiplier: f64) -> f64 {
    let claimed = Gain::of(1.0 / noise_multiplier);
    let suspected = Gain::of(1.0 / (SUSPECTED * noise_multiplier));
    // Of the best growth, to second order; the capital stays positive in any trial.
    let stake = (suspected.mean - claimed.mean) / suspected.variance;
    let stake = stake.min(0.5 / (SURE + claimed.mean));
    let (mut log_capital, mut most) = (0.0f64, 0.0f64);
    for (score, inside) in scores.iter().zip(inside) {
        let truth = if *inside { *score } else { -score };
        log_capital += (stake * (gain(truth) - claimed.mean)).ln_1p();
        most = most.max(log_capital);
    }
    (-most).exp()
}

/// ln 2 + ln p(truth), where the logarithm of the truth's likelihood ratio is `truth`.
fn gain(truth: f64) -> f64 {
    std::f64::consts::LN_2 - (-truth.clamp(-SURE, SURE)).exp().ln_1p()
}

/// Mean and variance of the gain in telling N(μ, 1) from N(0, 1).
struct Gain {
    mean: f64,
    variance: f64,
}

impl Gain {
    /// By the trapezoidal rule, which is exact to rounding for what is so smooth: the truth's ratio
    /// is normal with mean μ²/2 and variance μ². Without the limit on ratios, which only lowers
    /// what an attacker has.
    fn of(mu: f64) -> Self {
        let width = 24.0 / f64::from(NODES);
        let (mut mean, mut square) = (0.0, 0.0);
        for node in 0..=NODES {
            let x = f64::from(node) * width - 12.0;
            let mass = width * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let truth = mu * x + 0.5 * mu * mu;
            let gain = std::f64::consts::LN_2 - (-truth).exp().ln_1p();
            mean += mass * gain;
            square += mass * gain * gain;
        }
        Self { mean: mean + 1e-12, variance: square - mean * mean }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// What telling the numbers of a mechanism with `noise` times the claimed noise comes to.
    fn audited(noise: f64, sigma: f64, trials: usize, rng: &mut ChaCha20Rng) -> f64 {
        let deviation = noise * sigma;
        let inside: Vec<bool> = (0..trials).map(|_| rng.random()).collect();
        let score = |inside: &bool| {
            let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
            let normal = (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos();
            let seen = f64::from(u8::from(*inside)) + deviation * normal;
            (2.0 * seen - 1.0) / (2.0 * deviation * deviation)
        };
        let scores: Vec<f64> = inside.iter().map(score).collect();
        probability(&scores, &inside, sigma)
    }

    #[test]
    fn information_of_strong_and_weak_signals() {
        // μ²/8 for weak ones, all of the coin for strong ones.
        assert!((Gain::of(0.01).mean / 1.25e-5 - 1.0).abs() < 1e-3);
        assert!((Gain::of(20.0).mean - std::f64::consts::LN_2).abs() < 1e-9);
    }

    /// σ of ε = 3 and of ε = 8 in one step on all examples.
    #[test]
    fn noise_a_tenth_too_small_is_flagged_and_the_right_noise_is_not() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for sigma in [1.49, 0.64] {
            let mut flagged = |noise: f64| {
                (0..200).filter(|_| audited(noise, sigma, 20_000, &mut rng) < 0.05).count()
            };
            let (right, small, large) = (flagged(1.0), flagged(0.9), flagged(1.1));
            println!("sigma {sigma}: of 200, flagged {right} as it is, {small} with 0.9 times");
            assert!(right <= 16 && small >= 185 && large == 0, "{right} {small} {large}");
        }
    }
}
