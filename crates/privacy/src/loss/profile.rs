//! δ as a function of ε, and its inverse.

/// A bound on δ(ε) in units of the δ asked for, on a grid of ε.
pub(super) struct Profile {
    /// The smallest ε.
    pub first: f64,
    /// Distance of two.
    pub spacing: f64,
    /// Masses of the losses at the grid's points.
    pub masses: Vec<f64>,
    /// Factor of all masses, for the relative errors of their computation.
    pub factor: f64,
    /// Logarithm of the bound on the error of δ(first) by rounding of the transforms; it falls as
    /// e^(−θε).
    pub log_rounding: f64,
    /// θ.
    pub theta: f64,
    /// What is lost at every ε: losses that count as infinite.
    pub infinite: f64,
}

impl Profile {
    /// The smallest ε ≥ 0 in the window at which the bound on δ is at most 1; `None` if there is
    /// none.
    ///
    /// Between two points, δ(ε) = D + (1 − e^(ε − u)) B with u the upper one, D = δ(u) and B the
    /// sum of mass · e^(u − loss) over the losses from u on; both are sums of positive terms.
    pub fn epsilon(&self) -> Option<f64> {
        let (fall, gap) = ((-self.spacing).exp(), -(-self.spacing).exp_m1());
        let (mut above, mut weighted) = (0.0, 0.0);
        let mut best = None;
        for (index, &mass) in self.masses.iter().enumerate().rev() {
            let upper = self.first + index as f64 * self.spacing;
            let lower = upper - self.spacing;
            // δ at `upper`, and the derivative below it.
            above += gap * weighted;
            weighted = mass + fall * weighted;
            let error = (self.log_rounding - self.theta * (lower - self.first)).exp();
            let room = (1.0 - self.infinite) / self.factor - error - above;
            if room < 0.0 || upper <= 0.0 {
                break;
            }
            let down = if weighted > room { -(-room / weighted).ln_1p() } else { f64::INFINITY };
            best = Some((upper - down.min(self.spacing)).max(0.0));
            if down < self.spacing {
                break;
            }
        }
        best
    }
}
