//! ε by privacy loss distributions: the δ(ε) of a composition itself, from above, instead of a
//! bound by its moments.
//!
//! # The theorem
//!
//! The loss of an output is the logarithm of its probability under one of two neighbours over that
//! under the other. A pair of distributions (P, Q) *dominates* a mechanism if δ(ε) = E_P[(1 − e^(ε
//! − loss))₊] is at least the mechanism's for every real ε. Then (Zhu, Dong & Wang, *Optimal
//! Accounting of Differential Privacy via Characteristic Function*, 2022, Theorem 10) products of
//! dominating pairs dominate the composition, also where each mechanism depends on the outputs of
//! those before, as long as the *pairs* are fixed in advance; losses of products add up.
//!
//! - A step on data with the example is dominated by P = (1 − q) N(0, σ²) + q N(1, σ²) against Q =
//!   N(0, σ²), one without it by Q against P: δ is jointly convex, so the worst common batch
//!   counts, and a gradient of norm c ≤ 1 is a post-processing of one of norm 1 (shrink by c, add
//!   N(0, σ²(1 − c²))). The two orders are different pairs. Each is composed by itself over all
//!   steps, and the larger ε is the answer.
//! - Without sampling, T steps of multiplier σ are one of σ/√T.
//!
//! # The discrete noise
//!
//! The mechanism adds a discrete Gaussian of parameter s ≥ 1024 to a vector of d integers. Rounding
//! a continuous Gaussian of variance s² − r² to an integer k with probability proportional to
//! e^(−(k − y)²/2r²), whatever the data, gives the same but for a factor: the sum over the integers
//! that normalises is within 1 ± η of r√2π, η = 2 Σ e^(−2π²r²k²) < 2^−100 for r = 1.9, so the ratio
//! of the two probabilities of every integer is within e^(±3η) (the convolution theorem of Peikert,
//! *An Efficient and Parallel Gaussian Sampler for Lattices*, 2010, 3.1, pointwise). So T releases
//! are T continuous ones of multiplier σ√(1 − r²/s²), post-processed, but for factors within
//! e^(±κ), κ = 3ηdT with d ≤ 2^40: (ε, δ) becomes (ε + 2κ, e^κ δ). (The statistical distance 8ηdT
//! would have to be multiplied by 1 + e^ε.)
//!
//! # What is computed, and every error
//!
//! - *Tails.* Losses of one step beyond a range of outputs of e^(−t²/2)/2 probability on either
//!   side are left out: high ones count as infinite, 10⁻⁹ δ in all; low ones are raised to the
//!   lowest point.
//! - *Grid.* A loss between two points of the grid is spread to both, keeping the masses under P
//!   and Q. δ(ε) becomes the chord between the points as a function of e^ε, which lies above, δ
//!   being convex in it: *connecting the dots* (Doroshenko et al., *Connect the Dots*, 2022). That
//!   dominates, so nothing is to be added; ε grows by 5·10⁻⁵ of it or so.
//! - *Masses* come from quadrature of positive integrands, with a relative error of 10⁻¹¹ and
//!   rounding: a factor of the composition's masses, as all are positive.
//! - *Wrapping.* Composition is modulo the length of a transform, so that mass outside the window
//!   wraps around into it. That only adds; the mass above the window is bounded by its moment
//!   (Chernoff) and counts as infinite.
//! - *Rounding of the transforms* is absolute, bounded in the Euclidean norm and added to δ.
//! - *Rounding of exponents and of sums of losses* is relative: the same factor; losses are raised.
//!
//! Transforms err by an absolute amount where δ is tiny. So masses are multiplied by e^(θ · loss)
//! first and divided again after the composition, with θ such that ε is in the bulk of the tilted
//! distribution: errors are then relative to δ, however small. Tilt, window and spacing are chosen
//! by plain sums; the bound holds whatever they are.

mod choice;
mod compose;
mod dots;
mod profile;
mod quadrature;
mod step;

use choice::Moments;
use compose::Composition;
use dots::{Dots, Order};
pub(crate) use step::Repeated;

use crate::quantity::Delta;

/// Most points of a grid: some three million steps. Beyond, a plan would take seconds.
const MOST_POINTS: u64 = 1 << 20;
/// Part of δ for the tails of single steps.
const TAILS: f64 = 1e-9;
/// κ of one step, 3 · 2⁻¹⁰⁰ · 2⁴⁰, rounded up.
const DISCRETE: f64 = 1.0 / (1u64 << 58) as f64;

/// Why privacy loss distributions state no ε.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum LossError {
    /// So many steps, or so little noise, that the grid of losses would be too fine.
    #[error(
        "privacy loss distributions of these steps would need a grid of {points} points, more than {most}: there are too \
         many steps, or there is too little noise"
    )]
    Grid {
        /// Points needed.
        points: u64,
        /// The most that are used.
        most: u64,
    },
    /// So many steps that the errors of computation, added up, may exceed δ.
    #[error(
        "over {steps} steps, errors of computing privacy loss distributions may add up to more than delta"
    )]
    Rounding {
        /// Number of steps.
        steps: u64,
    },
}

impl LossError {
    /// The number of points, if it is a number and not too large.
    fn check(points: f64) -> Result<usize, Self> {
        if points <= MOST_POINTS as f64 {
            return Ok(points as usize);
        }
        let points = if points.is_nan() { u64::MAX } else { points as u64 };
        Err(Self::Grid { points, most: MOST_POINTS })
    }
}

/// An upper bound on the ε of all these steps together at δ, above the least one by about 5·10⁻⁵ of
/// it. Takes about 5 ms for hundreds of steps, some 30 ms for ten thousand.
///
/// # Errors
/// [`LossError`].
pub(crate) fn epsilon(steps: &[Repeated], delta: Delta) -> Result<f64, LossError> {
    Ok(bounds(steps, delta)?.into_iter().fold(0.0, f64::max))
}

/// The same for each [`Order`].
fn bounds(steps: &[Repeated], delta: Delta) -> Result<[f64; 2], LossError> {
    if steps.is_empty() {
        return Ok([0.0; 2]);
    }
    let times: f64 = steps.iter().map(|step| step.times as f64).sum();
    let log_delta = delta.get().ln();
    // times · e^(−reach²/2) / 2 = TAILS · δ.
    let reach = (2.0 * (times.ln() - (2.0 * TAILS).ln() - log_delta)).sqrt();
    let moments = Order::BOTH.map(|order| Moments::new(order, steps, reach, log_delta));
    let spacing = choice::spacing(&moments);
    let dots = steps.iter().map(|step| Dots::connect(step, reach, spacing));
    let dots = dots.collect::<Result<Vec<_>, _>>()?;
    let number = steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.steps));
    let bound = |order: Order| {
        let window = moments[order as usize].window();
        let dots = dots.iter().map(|dots| &dots[order as usize]).collect();
        let composition = Composition { steps, dots, spacing, window, log_delta, reach };
        let epsilon =
            composition.profile()?.epsilon().ok_or(LossError::Rounding { steps: number })?;
        Ok(epsilon * (1.0 + 1e-12) + 2.0 * DISCRETE * number as f64)
    };
    Ok([bound(Order::Present)?, bound(Order::Absent)?])
}

#[cfg(test)]
mod tests;
