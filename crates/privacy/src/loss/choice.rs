//! What a bound holds for whatever is chosen, and is close for if it is chosen well: the spacing of
//! the grid, the tilt, and the window in which the composition is looked at. Chosen by moments of
//! the loss, which are summed plainly.

use super::dots::Order;
use super::step::Repeated;

/// Excess of ε by the grid that is aimed at, as a part of it.
const GRID_EXCESS: f64 = 5e-5;
/// Below so many steps the grid is finer: a tilt says less about their ε, and they take no time.
const FEW_STEPS: f64 = 64.0;
/// Nodes per the shorter of σ and σ².
const NODES: f64 = 4.0;
/// Most nodes of one mechanism's sums.
const MOST_NODES: f64 = 4096.0;
/// Logarithm of the tilted mass on either side of the window, which wraps around into it: that only
/// enlarges the bound.
const LOG_OUTSIDE: f64 = -23.0;
/// Logarithm of the part of δ that the mass above the window takes.
const LOG_ABOVE: f64 = -20.0;
/// Significant bits of the spacing: so few that its multiples are exact.
const SPACING_BITS: i32 = 8;
/// Tilts between e^−10 and e^30 are considered.
const LOG_TILTS: (f64, f64) = (-10.0, 30.0);

/// The spacing at which connecting the dots enlarges ε by [`GRID_EXCESS`] of it, of the orders'
/// larger. Spreading a loss over the ends of its cell adds about θ(θ + 1) · spacing² / 12 to the
/// logarithm of its moment of order θ, for every step. It changes only where a number of steps
/// passes a power of two: in between, ε grows with the steps.
pub(super) fn spacing(orders: &[Moments]) -> f64 {
    let orders: Vec<(f64, f64, f64)> = orders.iter().map(Moments::rounded_tilt).collect();
    let largest = orders.iter().map(|&(_, epsilon, _)| epsilon).fold(0.0, f64::max);
    let allowed = |&(theta, epsilon, times): &(f64, f64, f64)| {
        let part = GRID_EXCESS * (times / FEW_STEPS).clamp(0.02, 1.0);
        let excess = largest * (1.0 + part) - epsilon;
        (12.0 * excess / (times * (theta + 1.0))).sqrt()
    };
    let spacing = orders.iter().map(allowed).fold(f64::INFINITY, f64::min);
    let unit = f64::from((spacing.log2().floor() as i32 - SPACING_BITS).clamp(-1000, 1000)).exp2();
    (spacing / unit).floor() * unit
}

/// How a composition is tilted and where it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// θ: masses are multiplied by e^(θ · loss) before they are composed.
    pub theta: f64,
    /// Another tilt, by which the mass above the window is bounded.
    pub steep: f64,
    /// The smallest ε of interest.
    pub bottom: f64,
    /// Losses above count as infinite.
    pub top: f64,
}

/// Moments of the composed loss in one order.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    parts: Vec<Part>,
    log_delta: f64,
}

/// Repetitions of one mechanism: losses and the logarithms of their probabilities.
#[derive(Debug, Clone)]
struct Part {
    times: f64,
    nodes: Vec<(f64, f64)>,
}

impl Moments {
    /// By the trapezoidal rule within the range that is kept.
    pub fn new(order: Order, steps: &[Repeated], reach: f64, log_delta: f64) -> Self {
        let part = |step: &Repeated| {
            let (low, high) = step.range(reach);
            let sigma = step.sigma;
            let count = (NODES * (high - low) / sigma.min(sigma * sigma)).ceil().min(MOST_NODES);
            let width = (high - low) / count;
            let log_scale = (width / sigma).ln() - 0.5 * (2.0 * std::f64::consts::PI).ln();
            let node = |index: u64| {
                let x = low + index as f64 * width;
                let loss = step.base() + step.excess(x);
                let log_probability = log_scale - x * x / (2.0 * sigma * sigma);
                match order {
                    Order::Present => (loss, log_probability + loss),
                    Order::Absent => (-loss, log_probability),
                }
            };
            Part { times: step.times as f64, nodes: (0..=count as u64).map(node).collect() }
        };
        Self { parts: steps.iter().map(part).collect(), log_delta }
    }

    /// A tilt, and by how much ε is below what is allowed at a grid so fine that it does not count.
    fn rounded_tilt(&self) -> (f64, f64, f64) {
        let mut rounded = self.clone();
        let round_up = |part: &mut Part| part.times = part.times.log2().ceil().exp2();
        rounded.parts.iter_mut().for_each(round_up);
        let (theta, epsilon) = rounded.tilt();
        let times = rounded.parts.iter().map(|part| part.times).sum();
        (theta, epsilon.max(rounded.variance(theta).sqrt()), times)
    }

    /// The tilt at which δ is largest for the ε that it proves, and the window that ε lies in.
    pub fn window(&self) -> Window {
        let (theta, epsilon) = self.tilt();
        let at = self.log_moment(theta);
        let rise = |log: f64| {
            let steep = theta + log.exp();
            (self.log_moment(steep) - self.log_delta - LOG_ABOVE) / steep
        };
        let fall = |log: f64| {
            let flat = log.exp();
            -(at - self.log_moment(theta - flat) + LOG_OUTSIDE) / flat
        };
        let wrap = |log: f64| (self.log_moment(theta + log.exp()) - at - LOG_OUTSIDE) / log.exp();
        let (steep, top) = smallest(rise);
        let top = top.max(smallest(wrap).1);
        let bottom = (-smallest(fall).1).min(epsilon - 12.0 / theta);
        Window { theta, steep: theta + steep.exp(), bottom, top }
    }

    /// The θ whose moment proves the smallest ε, and that ε: the conversion of Canonne, Kamath &
    /// Steinke. Where that is negative, the θ whose moment proves the smallest δ at ε = 0.
    fn tilt(&self) -> (f64, f64) {
        let log_delta = |log: f64| {
            let theta = log.exp();
            self.log_moment(theta) + theta * log - (1.0 + theta) * theta.ln_1p()
        };
        let (log, epsilon) = smallest(|log| (log_delta(log) - self.log_delta) / log.exp());
        if epsilon > 0.0 { (log.exp(), epsilon) } else { (smallest(log_delta).0.exp(), 0.0) }
    }

    fn log_moment(&self, theta: f64) -> f64 {
        self.parts.iter().map(|part| part.times * part.log_moment(theta)).sum()
    }

    /// Second derivative of ln E e^(θ · loss) by θ.
    fn variance(&self, theta: f64) -> f64 {
        self.parts.iter().map(|part| part.times * part.variance(theta)).sum()
    }
}

impl Part {
    fn log_moment(&self, theta: f64) -> f64 {
        let exponent = |&(loss, log_probability): &(f64, f64)| theta * loss + log_probability;
        let largest = self.nodes.iter().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.nodes.iter().map(|node| (exponent(node) - largest).exp()).sum();
        largest + sum.ln()
    }

    fn variance(&self, theta: f64) -> f64 {
        let log_moment = self.log_moment(theta);
        let (mut mean, mut square) = (0.0, 0.0);
        for &(loss, log_probability) in &self.nodes {
            let weight = (theta * loss + log_probability - log_moment).exp();
            mean += weight * loss;
            square += weight * loss * loss;
        }
        (square - mean * mean).max(0.0)
    }
}

/// Golden-section search over the logarithm of a tilt.
fn smallest(value: impl Fn(f64) -> f64) -> (f64, f64) {
    const GOLDEN: f64 = 0.618_033_988_749_894_8;
    let (mut low, mut high) = LOG_TILTS;
    let (mut a, mut b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_a, mut at_b) = (value(a), value(b));
    while high - low > 1e-2 {
        if at_a <= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - GOLDEN * (high - low);
            at_a = value(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + GOLDEN * (high - low);
            at_b = value(b);
        }
    }
    if at_a <= at_b { (a, at_a) } else { (b, at_b) }
}
