//! The loss distribution of one step on a grid: connect the dots.

use super::LossError;
use super::quadrature::Cell;
use super::step::Repeated;
use crate::log_space;

/// Panels of quadrature per unit of min(σ, σ²), to estimate their number.
const PANELS: f64 = 32.0;

/// Which data set the loss is that of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one with the example: mixture against Gaussian.
    Present,
    /// The one without: Gaussian against mixture.
    Absent,
}

impl Order {
    /// Both, by their number.
    pub const BOTH: [Self; 2] = [Self::Present, Self::Absent];
}

/// Masses at the points first, first + spacing, first + 2·spacing, … of a grid of losses.
#[derive(Debug, Clone)]
pub(super) struct Dots {
    /// The smallest loss.
    pub first: f64,
    /// Logarithm of the mass at each point.
    pub log_masses: Vec<f64>,
}

impl Dots {
    /// Both orders of one step's losses on a grid, above the true ones in the sense of the
    /// [module](super). Mass of at most e^(−reach²/2) / 2 counts as an infinite loss besides.
    ///
    /// # Errors
    /// [`LossError::Grid`] where the range of the losses has too many points.
    pub fn connect(step: &Repeated, reach: f64, spacing: f64) -> Result<[Self; 2], LossError> {
        let (low, high) = step.range(reach);
        let from = (step.excess(low) / spacing).floor();
        let cells = (step.excess(high) / spacing).ceil() - from;
        let panels = (high - low) / step.sigma.min(step.sigma * step.sigma) * PANELS;
        LossError::check(panels)?;
        let cells = LossError::check(cells)?.max(1);
        // The masses at both ends of each cell, from the right end of the one before.
        let mut log_masses = vec![f64::NEG_INFINITY; cells + 1];
        let log_gap_above = (-(-spacing).exp_m1()).ln();
        let log_gap_below = spacing.exp_m1().ln();
        for index in 0..cells {
            let excess = (from + index as f64) * spacing;
            let z = step.full_loss_of(excess + spacing);
            let right = step.output(z);
            let bounded = step.rate == 1.0 || excess > 0.0;
            let (left, width) = if bounded {
                let width = rise(step, excess, spacing) * step.sigma * step.sigma;
                (right - width, width)
            } else {
                (low.min(right), (right - low).max(0.0))
            };
            if width > 0.0 {
                let (above, below) = Cell { left, right, width, bounded }.log_integrals(step.sigma);
                let scale = step.rate.ln() + z;
                let at_left = &mut log_masses[index];
                *at_left = log_space::add(*at_left, scale + below - log_gap_below);
                log_masses[index + 1] = scale + above - log_gap_above;
            }
        }
        let first = step.base() + from * spacing;
        // The Gaussian's mass at a point is the mixture's times e^−loss, and its loss is the
        // opposite.
        let opposite = (0..).zip(&log_masses).map(|(at, mass)| mass - loss_at(first, at, spacing));
        let opposite: Vec<f64> = opposite.collect::<Vec<_>>().into_iter().rev().collect();
        let mut absent =
            Self { first: -loss_at(first, cells as u64, spacing), log_masses: opposite };
        let mut present = Self { first, log_masses };
        present.raise_first(reach);
        absent.raise_first(reach);
        Ok([present, absent])
    }

    /// Puts the mass of losses below the first point there.
    fn raise_first(&mut self, reach: f64) {
        if let Some(first) = self.log_masses.first_mut() {
            // Φ(−t) ≤ e^(−t²/2) / 2.
            *first = log_space::add(*first, -0.5 * reach * reach - std::f64::consts::LN_2);
        }
    }

    /// ln Σ mass · e^(θ · loss).
    pub fn log_moment(&self, theta: f64, spacing: f64) -> f64 {
        let exponents = self.exponents(theta, spacing);
        let largest = exponents.clone().fold(f64::NEG_INFINITY, f64::max);
        largest + exponents.map(|exponent| (exponent - largest).exp()).sum::<f64>().ln()
    }

    /// ln(mass · e^(θ · loss)) at each point.
    pub fn exponents(&self, theta: f64, spacing: f64) -> impl Iterator<Item = f64> + Clone {
        let first = self.first;
        (0..)
            .zip(&self.log_masses)
            .map(move |(index, mass)| mass + theta * loss_at(first, index, spacing))
    }
}

fn loss_at(first: f64, index: u64, spacing: f64) -> f64 {
    first + index as f64 * spacing
}

/// By how much z rises while the loss rises from `excess` above its base by `spacing`.
fn rise(step: &Repeated, excess: f64, spacing: f64) -> f64 {
    if step.rate == 1.0 { spacing } else { (spacing.exp_m1() / -(-excess).exp_m1()).ln_1p() }
}
