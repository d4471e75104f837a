//! The network in the clear, with the noise that the parameters predict at every point of an
//! evaluation.

use std::sync::Arc;

use rand::{Rng, RngExt};
use sphinx_linalg::{BIAS_SCALE_LOG2, POLYNOMIAL_SIZE};

use crate::network::{Layer, LayerMap, OneShotNetwork, OneShotNetworkError};
use crate::noise::NoiseBudget;

/// Which noise a simulation adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationNoise {
    /// None: the network as quantised.
    None,
    /// As the parameters predict it.
    Predicted,
}

/// A network with biases in the clear, at the integers, tables and scales of its encrypted
/// evaluation.
///
/// Phases are fractions of the torus, in doubles: their rounding of 2^-52 is far below any noise.
pub struct Simulation {
    network: Arc<OneShotNetwork>,
    budget: NoiseBudget,
    layers: Vec<ClearLayer>,
}

struct ClearLayer {
    /// Added to each output, in turns: bias and constant.
    constants: Vec<f64>,
    /// Standard deviation of the noise of each output, in turns.
    deviations: Vec<f64>,
    /// Dense kernels of the first layer, `[channel][reach]`; empty for others.
    kernels: Vec<Vec<f64>>,
}

impl Simulation {
    /// With the biases of every stage in real units.
    ///
    /// # Errors
    /// [`OneShotNetworkError::Count`] if there is not one bias per output channel.
    pub fn new<B: AsRef<[f32]>>(
        network: Arc<OneShotNetwork>,
        biases: &[B],
    ) -> Result<Self, OneShotNetworkError> {
        let budget = NoiseBudget::new(&network.profile().parameters());
        if biases.len() != network.layers().len() {
            let (got, expected) = (biases.len(), network.layers().len());
            return Err(OneShotNetworkError::Count { stage: None, got, expected });
        }
        let mut layers = Vec::with_capacity(biases.len());
        for (stage, (layer, biases)) in network.layers().iter().zip(biases).enumerate() {
            let biases = biases.as_ref();
            let (got, expected) = (biases.len(), layer.outputs / layer.per_bias);
            if got != expected {
                return Err(OneShotNetworkError::Count { stage: Some(stage), got, expected });
            }
            layers.push(ClearLayer::new(layer, biases, &budget));
        }
        Ok(Self { network, budget, layers })
    }

    /// The logits of one input of the first stage, in real units.
    pub fn logits(&self, input: &[f32], noise: SimulationNoise, rng: &mut impl Rng) -> Vec<f64> {
        let layout = self.network.layout();
        let scale = 64f64.exp2();
        let message = layout.encode(input);
        let mut values: Vec<f64> =
            message.iter().map(|&word| word.cast_signed() as f64 / scale).collect();
        let mut gaussian = Gaussian::new(matches!(noise, SimulationNoise::Predicted), rng);
        let last = self.layers.len() - 1;
        for (index, (layer, clear)) in self.network.layers().iter().zip(&self.layers).enumerate() {
            let mut phases = clear.apply(layer, &values);
            for (phase, deviation) in phases.iter_mut().zip(&clear.deviations) {
                *phase += gaussian.draw(*deviation);
            }
            let Some(lookup) = &layer.lookup else {
                let end = (self.budget.packing + self.budget.answer).sqrt();
                let unit = scale / layer.scale;
                debug_assert_eq!(index, last);
                return phases
                    .into_iter()
                    .map(|phase| (centred(phase + gaussian.draw(end))) * unit)
                    .collect();
            };
            let words = lookup.words();
            let size = POLYNOMIAL_SIZE as i64;
            values = phases
                .into_iter()
                .map(|phase| {
                    let place = (phase * (2 * size) as f64).floor() as i64;
                    let place = place.rem_euclid(2 * size);
                    let word = words[(place % size) as usize].cast_signed() as f64 / scale;
                    if place < size { word } else { -word }
                })
                .collect();
        }
        Vec::new()
    }

    /// The class that the logits of [`Simulation::logits`] name.
    pub fn classify(&self, input: &[f32], noise: SimulationNoise, rng: &mut impl Rng) -> usize {
        let logits = self.logits(input, noise, rng);
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(class, _)| class)
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("network", &self.network).finish_non_exhaustive()
    }
}

impl ClearLayer {
    fn new(layer: &Layer, biases: &[f32], budget: &NoiseBudget) -> Self {
        let scale = 64f64.exp2();
        let factor = layer.bias_factor() as f64;
        let unit = f64::from(BIAS_SCALE_LOG2).exp2() * factor / scale;
        let constants = layer.constants.iter().enumerate().map(|(place, &word)| {
            word.cast_signed() as f64 / scale + f64::from(biases[place / layer.per_bias]) * unit
        });
        let norms = match &layer.map {
            LayerMap::First(first) => first.squared_norms(),
            LayerMap::Later(map) => {
                let square =
                    |terms: &Vec<(usize, i32)>| terms.iter().map(|t| f64::from(t.1).powi(2)).sum();
                map.terms().iter().map(square).collect::<Vec<f64>>()
            }
        };
        let (source, kernels) = match &layer.map {
            LayerMap::First(first) => (budget.query, first.kernels()),
            LayerMap::Later(_) => (budget.bootstrapping, Vec::new()),
        };
        let lookup = if layer.lookup.is_some() { budget.lookup() } else { 0.0 };
        let variance = |norm: f64| norm * source + factor * factor * budget.bias + lookup;
        let deviations = norms.into_iter().map(|norm| variance(norm).sqrt()).collect();
        Self { constants: constants.collect(), deviations, kernels }
    }

    fn apply(&self, layer: &Layer, values: &[f64]) -> Vec<f64> {
        match &layer.map {
            LayerMap::First(first) => {
                let kernels = self.kernels.iter();
                let results = kernels.flat_map(|kernel| {
                    first.shifts().iter().map(move |&shift| dot(kernel, &values[shift..]))
                });
                results.zip(&self.constants).map(|(sum, constant)| sum + constant).collect()
            }
            LayerMap::Later(map) => {
                let rows = map.terms().iter().zip(&self.constants);
                let sum = |terms: &[(usize, i32)]| -> f64 {
                    terms.iter().map(|&(source, weight)| values[source] * f64::from(weight)).sum()
                };
                rows.map(|(terms, constant)| sum(terms) + constant).collect()
            }
        }
    }
}

/// Σ a_i · b_i over the shorter, in eight partial sums so that it runs in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0f64; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// The representative of a phase in [-1/2, 1/2).
fn centred(phase: f64) -> f64 {
    phase - (phase + 0.5).floor()
}

/// Normal noise by Box and Muller's method, or none. Simulations need no cryptographic quality.
struct Gaussian<'a, R: Rng> {
    on: bool,
    rng: &'a mut R,
    spare: Option<f64>,
}

impl<'a, R: Rng> Gaussian<'a, R> {
    fn new(on: bool, rng: &'a mut R) -> Self {
        Self { on, rng, spare: None }
    }

    fn draw(&mut self, deviation: f64) -> f64 {
        if !self.on {
            return 0.0;
        }
        let standard = self.spare.take().unwrap_or_else(|| {
            let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * self.rng.random::<f64>()).sin_cos();
            self.spare = Some(radius * sin);
            radius * cos
        });
        deviation * standard
    }
}
