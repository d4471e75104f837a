//! Integrals of the Gaussian density against e^z − e^a between two points, as logarithms.

/// Nodes and weights of six-point Gauss-Legendre quadrature on [0, 1].
const RULE: [(f64, f64); 6] = [
    (0.033_765_242_898_423_99, 0.085_662_246_189_585_17),
    (0.169_395_306_766_867_74, 0.180_380_786_524_069_3),
    (0.380_690_406_958_401_55, 0.233_956_967_286_345_52),
    (0.619_309_593_041_598_5, 0.233_956_967_286_345_52),
    (0.830_604_693_233_132_2, 0.180_380_786_524_069_3),
    (0.966_234_757_101_576, 0.085_662_246_189_585_17),
];
/// A panel is at most this fraction of the shorter of the two lengths, σ and σ², on which the
/// integrands change.
const PANELS: f64 = 32.0;

/// Bound on the relative error of both integrals, for points within 40σ of 0 or of 1.
///
/// On a panel of width h the error is at most (64/15) · M · ρ^(−12) · h/2, M the largest modulus on
/// the ellipse with the panel's ends as foci and half axes that add up to ρh/2 (Trefethen,
/// *Approximation Theory and Approximation Practice*, Theorem 19.3). With ℓ = min(σ, σ²) and ρ =
/// ℓ/h ≥ 32 it reaches ℓ/4 beyond the panel, where the integrands, entire functions, are at most
/// e^11 · (ρ/2 + 2) times their mean on the panel: e^(40/4) by the density, e^(1/4) by e^z, ρ/2 + 2
/// because they vanish at one end. That is below 5·10⁻¹².
pub(super) const RELATIVE_ERROR: f64 = 1e-11;

/// Points between which a loss is spread, in units of the mechanism's output.
pub(super) struct Cell {
    /// Left end of the integral.
    pub left: f64,
    /// Right end.
    pub right: f64,
    /// Their distance, more precise than the difference.
    pub width: f64,
    /// Whether e^z is compared with its value at the left end, or with 0.
    pub bounded: bool,
}

impl Cell {
    /// The logarithms of ∫ φ(x) (e^(z(x) − z(right)) − e^(z(left) − z(right))) dx and of
    /// ∫ φ(x) (1 − e^(z(x) − z(right))) dx, for φ the density of N(0, σ²) and z(x) = (2x − 1) /
    /// 2σ².
    pub fn log_integrals(&self, sigma: f64) -> (f64, f64) {
        let variance = sigma * sigma;
        let panels = (self.width / sigma.min(variance) * PANELS).ceil().max(1.0);
        // The integrands are scaled by the density where it is largest.
        let peak = if self.left <= 0.0 && self.right >= 0.0 {
            0.0
        } else if self.left > 0.0 {
            self.left
        } else {
            self.right
        };
        let step = self.width / panels;
        let rise = self.width / variance;
        let fall = (-rise).exp();
        let (mut above, mut below) = (0.0, 0.0);
        for panel in 0..panels as u64 {
            for (node, weight) in RULE {
                let part = (panel as f64 + node) / panels;
                let x = self.left + part * self.width;
                let density = weight * (-(x - peak) * (x + peak) / (2.0 * variance)).exp();
                let before = (part - 1.0) * rise;
                below -= density * before.exp_m1();
                above += density
                    * if self.bounded { fall * (part * rise).exp_m1() } else { before.exp() };
            }
        }
        let scale = step.ln()
            - peak * peak / (2.0 * variance)
            - sigma.ln()
            - 0.5 * (2.0 * std::f64::consts::PI).ln();
        (above.ln() + scale, below.ln() + scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In closed form, where the terms do not cancel: ∫ φ(x) e^z(x) dx is that of φ(x − 1).
    #[test]
    fn integrals_agree_with_differences_of_the_error_function() {
        for sigma in [0.2, 1.0, 7.0] {
            for (left, right) in [(-3.0, 0.0), (-1.0, 2.0), (0.5, 3.0), (-6.0, -2.0)] {
                let (left, right) = (left * sigma, right * sigma);
                let width = right - left;
                let phi = |x: f64| 0.5 * libm::erfc(-x / (sigma * std::f64::consts::SQRT_2));
                let full = |x: f64| (2.0 * x - 1.0) / (2.0 * sigma * sigma);
                let density = phi(right) - phi(left);
                let shifted = (phi(right - 1.0) - phi(left - 1.0)) * (-full(right)).exp();
                for bounded in [true, false] {
                    let lower = if bounded { (full(left) - full(right)).exp() } else { 0.0 };
                    let got = Cell { left, right, width, bounded }.log_integrals(sigma);
                    let near = |log: f64, value: f64| {
                        (log.exp() - value).abs() <= RELATIVE_ERROR * value + 1e-13 * density
                    };
                    assert!(near(got.0, shifted - lower * density), "{sigma} {left} {right}");
                    assert!(near(got.1, density - shifted), "{sigma} {left} {right}");
                }
            }
        }
    }
}
