//! Composition by the Fourier transform of tilted masses, with bounds on what rounding does to it.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::choice::Window;
use super::dots::Dots;
use super::profile::Profile;
use super::step::Repeated;
use super::{DISCRETE, LossError, TAILS, quadrature};

/// Half the distance of 1 and the next number, 2⁻⁵³.
const UNIT: f64 = f64::EPSILON / 2.0;
/// Relative error, in the Euclidean norm and units of 2⁻⁵³, of a transform per doubling of its
/// length: Higham, *Accuracy and Stability of Numerical Algorithms*, Theorem 24.2, has 7 for radix
/// 2 with accurate twiddle factors.
const TRANSFORM_ERROR: f64 = 16.0;

/// One order's loss distributions of all mechanisms, to be composed.
pub(super) struct Composition<'a> {
    pub steps: &'a [Repeated],
    /// Of one step of each.
    pub dots: Vec<&'a Dots>,
    pub spacing: f64,
    pub window: Window,
    /// ln δ.
    pub log_delta: f64,
    /// Largest distance of an output from 0 in units of σ.
    pub reach: f64,
}

impl Composition<'_> {
    /// The bound on δ(ε) in the window.
    ///
    /// # Errors
    /// [`LossError::Grid`] for a window of too many points.
    pub fn profile(&self) -> Result<Profile, LossError> {
        let Window { theta, bottom, top, .. } = self.window;
        let least: f64 = self.parts().map(|(times, dots)| times * dots.first).sum();
        let skipped = ((bottom - least) / self.spacing).floor().max(0.0);
        let first = least + skipped * self.spacing;
        let points = ((top - first) / self.spacing).ceil().max(1024.0);
        let points = LossError::check(points)?.next_power_of_two();
        let tilted = self.transform(points);
        // Masses relative to δ: mass = tilted mass · e^(K − θ · loss).
        let log_scale = |index: usize| {
            let loss = first + index as f64 * self.spacing;
            tilted.log_moment - theta * loss - self.log_delta
        };
        let place = (skipped % points as f64) as usize;
        let masses = (0..points).map(|index| {
            let mass = tilted.masses[(place + index) % points];
            if mass > 0.0 { mass * log_scale(index).exp() } else { 0.0 }
        });
        // Cauchy & Schwarz: the weights of the errors are at most e^(−θ · distance) and θ^θ / (1 +
        // θ)^(1 + θ).
        let largest = (theta * theta.ln() - (1.0 + theta) * theta.ln_1p()).exp();
        let weights = (1.0 / -(-2.0 * theta * self.spacing).exp_m1())
            .min(points as f64 * largest * largest)
            .sqrt();
        let last = first + points as f64 * self.spacing;
        // Losses of the whole composition are as exact as these sums.
        let blur = 16.0 * UNIT * (least.abs() + first.abs() + last.abs());
        let rounding = 16.0 * UNIT * tilted.log_moment.abs() + theta * blur;
        Ok(Profile {
            first: first + blur,
            spacing: self.spacing,
            masses: masses.collect(),
            factor: self.factor() * rounding.exp(),
            log_rounding: (weights * tilted.error).ln() + log_scale(0),
            theta,
            infinite: self.above(last) + TAILS,
        })
    }

    fn parts(&self) -> impl Iterator<Item = (f64, &Dots)> {
        self.steps.iter().zip(&self.dots).map(|(step, &dots)| (step.times as f64, dots))
    }

    /// Chernoff bound on the mass above `top`, relative to δ.
    fn above(&self, top: f64) -> f64 {
        let steep = self.window.steep;
        let moment = |(times, dots): (f64, &Dots)| times * dots.log_moment(steep, self.spacing);
        let log_moment: f64 = self.parts().map(moment).sum();
        (log_moment - steep * top - self.log_delta).exp() * self.factor()
    }

    /// What the relative errors of single masses become in the composition: those of quadrature, of
    /// exponents as large as those of the density, of z and of the tilt, and of sums over all
    /// masses; and the discrete noise's.
    fn factor(&self) -> f64 {
        let errors = self.steps.iter().zip(&self.dots).map(|(step, dots)| {
            let (low, high) = step.range(self.reach);
            let far = high.max(-low) / step.sigma;
            let density = 0.5 * far * far;
            let full = step.full_loss(low).abs().max(step.full_loss(high).abs());
            let last = dots.first + dots.log_masses.len() as f64 * self.spacing;
            let tilt = self.window.steep.max(1.0) * dots.first.abs().max(last.abs());
            let rounding = 16.0 * UNIT * (10.0 + density + full * (1.0 + far * step.sigma) + tilt);
            let sums = UNIT * dots.log_masses.len() as f64;
            let masses = quadrature::RELATIVE_ERROR + rounding + sums;
            step.times as f64 * masses + step.steps as f64 * DISCRETE
        });
        errors.sum::<f64>().exp()
    }

    fn transform(&self, points: usize) -> Tilted {
        let theta = self.window.theta;
        let mut planner = FftPlanner::new();
        let (forward, inverse) =
            (planner.plan_fft_forward(points), planner.plan_fft_inverse(points));
        let each = TRANSFORM_ERROR * UNIT * (points as f64).log2();
        let root = (points as f64).sqrt();
        let mut product = vec![Complex::new(1.0, 0.0); points];
        let (mut log_moment, mut error, mut growth) = (0.0f64, 0.0f64, 0.0f64);
        for (step, &dots) in self.steps.iter().zip(&self.dots) {
            let log_one = dots.log_moment(theta, self.spacing);
            let mut masses = vec![Complex::new(0.0, 0.0); points];
            for (index, exponent) in dots.exponents(theta, self.spacing).enumerate() {
                masses[index % points].re += (exponent - log_one).exp();
            }
            let norm = masses.iter().map(|mass| mass.re * mass.re).sum::<f64>().sqrt();
            forward.process(&mut masses);
            let times = step.times as f64;
            // The other half is the conjugate, as masses are real.
            for (product, value) in product.iter_mut().zip(&masses).take(points / 2 + 1) {
                *product *= power(*value, step.times);
            }
            log_moment += times * log_one;
            // Each of T equal factors of modulus at most 1 is off by at most that, each product by
            // √5 roundings.
            error += times * (each * root * norm + 8.0 * UNIT * root);
            growth += times * (each * root * norm + UNIT * dots.log_masses.len() as f64);
        }
        for index in 1..points / 2 {
            product[points - index] = product[index].conj();
        }
        inverse.process(&mut product);
        let masses: Vec<f64> = product.iter().map(|value| value.re / points as f64).collect();
        let norm = masses.iter().map(|mass| mass * mass).sum::<f64>().sqrt();
        // Factors may exceed 1 by their errors.
        let error = error * growth.exp() / root + 2.0 * each * norm;
        Tilted { masses, log_moment, error }
    }
}

/// The composed, tilted masses modulo the number of points.
struct Tilted {
    masses: Vec<f64>,
    /// Logarithm of the composed moment of order θ, by which they are normalised.
    log_moment: f64,
    /// Bound on the Euclidean norm of their error.
    error: f64,
}

fn power(value: Complex<f64>, mut exponent: u64) -> Complex<f64> {
    let (mut power, mut square) = (Complex::new(1.0, 0.0), value);
    loop {
        if exponent & 1 == 1 {
            power *= square;
        }
        exponent >>= 1;
        if exponent == 0 {
            return power;
        }
        square *= square;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::choice::{Moments, spacing};
    use crate::loss::dots::Order;

    /// Convolution of positive masses has no error to speak of.
    fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; a.len() + b.len() - 1];
        for (i, x) in a.iter().enumerate() {
            b.iter().zip(&mut sum[i..]).for_each(|(y, sum)| *sum += x * y);
        }
        sum
    }

    #[test]
    fn transforms_err_by_less_than_their_bound() {
        let step = |rate, sigma| Repeated { rate, sigma, times: 8, steps: 8 };
        let steps = [step(0.1, 1.0), step(0.4, 3.0)];
        let (reach, log_delta) = (8.0, -11.5);
        let moments = Order::BOTH.map(|order| Moments::new(order, &steps, reach, log_delta));
        let spacing = 4.0 * spacing(&moments);
        let dots = steps.map(|step| Dots::connect(&step, reach, spacing).unwrap());
        for order in Order::BOTH {
            let window = moments[order as usize].window();
            let dots = dots.iter().map(|dots| &dots[order as usize]).collect();
            let composition =
                Composition { steps: &steps, dots, spacing, window, log_delta, reach };
            let mut expected = vec![1.0];
            for dots in &composition.dots {
                let moment = dots.log_moment(window.theta, spacing);
                let exponents = dots.exponents(window.theta, spacing);
                let masses: Vec<f64> = exponents.map(|e| (e - moment).exp()).collect();
                let two = convolved(&masses, &masses);
                let four = convolved(&two, &two);
                expected = convolved(&expected, &convolved(&four, &four));
            }
            let points = expected.len().next_power_of_two();
            let tilted = composition.transform(points);
            expected.resize(points, 0.0);
            let squares = tilted.masses.iter().zip(&expected).map(|(a, b)| (a - b) * (a - b));
            let error = squares.sum::<f64>().sqrt();
            println!("{order:?}: {error:e}, bound {:e}", tilted.error);
            assert!(error > 0.0 && error < tilted.error, "{error:e} {:e}", tilted.error);
        }
    }
}
