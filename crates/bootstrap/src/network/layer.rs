//! One linear layer with integer weights, and what follows it.

use rayon::prelude::*;
use sphinx_linalg::BIAS_SCALE_LOG2;
use sphinx_network::FoldedStage;

use super::error::OneShotNetworkError;
use super::lookup::Lookup;
use crate::control::Control;
use crate::linear::FirstLayer;
use crate::sample::{SAMPLE_WORDS, Samples};

/// A linear layer and its activation.
pub(crate) struct Layer {
    pub map: LayerMap,
    /// Number of results.
    pub outputs: usize,
    /// Results that share a bias.
    pub per_bias: usize,
    /// Integers modulo 2^64 per unit of a result.
    pub scale: f64,
    /// Largest Euclidean norm of an output's integer weights.
    pub norm: f64,
    /// Added to every result in the clear, if anything is.
    pub constants: Vec<u64>,
    /// None after the last layer.
    pub lookup: Option<Lookup>,
}

/// The linear map of a layer.
pub(crate) enum LayerMap {
    /// Of a query.
    First(FirstLayer),
    /// Of samples.
    Later(Combination),
}

/// Integer linear combinations, one list of terms per output.
pub(crate) struct Combination {
    terms: Vec<Vec<(usize, i32)>>,
}

/// Norms of the integer weights of one output, the largest of all outputs.
pub(super) struct Norms {
    pub sum: u64,
    pub euclidean: f64,
}

impl Layer {
    pub(super) fn new(map: LayerMap, shape: FoldedStage, scale: f64, norm: f64) -> Self {
        let per_bias = shape.shifts().count();
        let outputs = shape.outputs * per_bias;
        Self { map, outputs, per_bias, scale, norm, constants: vec![0; outputs], lookup: None }
    }

    /// With an activation, whose centre is taken off the results.
    pub(super) fn with(mut self, lookup: Lookup) -> Self {
        let centre = ((lookup.centre() * self.scale) as i128) as u64;
        self.constants.iter_mut().for_each(|word| *word = word.wrapping_sub(centre));
        self.lookup = Some(lookup);
        self
    }

    pub(super) fn with_constants(mut self, constants: Vec<u64>) -> Self {
        self.constants = constants;
        self
    }

    /// The integer that brings a bias from 2^48 per unit to this layer's scale. In the first layer
    /// it is exact, in later ones off by less than one in a thousand.
    pub(crate) fn bias_factor(&self) -> u64 {
        (self.scale / f64::from(BIAS_SCALE_LOG2).exp2()).round().max(1.0) as u64
    }
}

impl Combination {
    /// From integer weights, `[output][tap]`, for `outputs` results.
    pub(super) fn new(shape: FoldedStage, outputs: usize, weights: &[i32]) -> Self {
        let mut scalars = vec![None; shape.padded_len()];
        for (scalar, position) in shape.positions().enumerate() {
            scalars[position] = Some(scalar);
        }
        let taps: Vec<usize> = shape.taps().collect();
        let mut terms = Vec::with_capacity(outputs);
        for row in weights.chunks_exact(taps.len()) {
            for shift in shape.shifts() {
                let sources = taps.iter().map(|tap| scalars[tap + shift]).zip(row);
                let nonzero =
                    sources.filter_map(|(source, &w)| Some((source?, w))).filter(|t| t.1 != 0);
                terms.push(nonzero.collect());
            }
        }
        Self { terms }
    }

    /// Terms of every output.
    pub(crate) fn terms(&self) -> &[Vec<(usize, i32)>] {
        &self.terms
    }

    /// What the offset of the table before contributes to every sum.
    pub(super) fn offset_words(&self, lookup: &Lookup) -> Vec<u64> {
        let word = |sum: i64| ((sum as f64 * lookup.offset() * lookup.amplitude()) as i128) as u64;
        let sums = self.terms.iter().map(|terms| terms.iter().map(|&(_, w)| i64::from(w)).sum());
        sums.map(word).collect()
    }

    /// The combinations of `samples`. Parallel over outputs; incomplete once the caller wants to
    /// stop.
    pub(crate) fn evaluate(&self, samples: &Samples, control: &Control<'_>) -> Samples {
        let inputs: Vec<&[u64]> = samples.iter().collect();
        let mut outputs = Samples::zero(self.terms.len());
        outputs.words_mut().par_chunks_exact_mut(SAMPLE_WORDS).zip(&self.terms).for_each(
            |(sums, terms)| {
                if control.is_cancelled() {
                    return;
                }
                for &(source, weight) in terms {
                    let weight = i64::from(weight).cast_unsigned();
                    sums.iter_mut().zip(inputs[source]).for_each(|(sum, &word)| {
                        *sum = sum.wrapping_add(word.wrapping_mul(weight));
                    });
                }
            },
        );
        outputs
    }
}

/// Weights at `gain` integers per unit, rounded.
pub(super) fn integers(
    stage: usize,
    weights: &[f32],
    gain: f64,
) -> Result<Vec<i32>, OneShotNetworkError> {
    let limit = i32::MAX as u64;
    let integer = |&weight: &f32| {
        let scaled = (f64::from(weight) * gain).round();
        match scaled.abs() <= limit as f64 {
            true => Ok(scaled as i32),
            false => {
                Err(OneShotNetworkError::WeightsTooLarge { stage, got: scaled.abs() as u64, limit })
            }
        }
    };
    weights.iter().map(integer).collect()
}

/// The largest norms of an output's weights.
pub(super) fn largest_norms(weights: &[i32], outputs: usize) -> Norms {
    let rows = weights.chunks_exact(weights.len() / outputs);
    rows.fold(Norms { sum: 0, euclidean: 0.0 }, |norms, row| {
        let sum = row.iter().map(|w| u64::from(w.unsigned_abs())).sum();
        let squares: f64 = row.iter().map(|&w| f64::from(w).powi(2)).sum();
        Norms { sum: norms.sum.max(sum), euclidean: norms.euclidean.max(squares.sqrt()) }
    })
}

/// The largest Euclidean norm of an output's weights.
pub(super) fn largest_euclidean(weights: &[f32], outputs: usize) -> f64 {
    let rows = weights.chunks_exact(weights.len() / outputs);
    let norms = rows.map(|row| row.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>().sqrt());
    norms.fold(0.0, f64::max)
}
