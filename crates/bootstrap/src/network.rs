//! A network with integer weights and tables, ready for samples of any key.

mod error;
mod layer;
mod lookup;

pub use error::NetworkError;
pub(crate) use layer::{Layer, LayerMap};
pub(crate) use lookup::Lookup;

use sphinx_network::{Activation, ClientOp, Plan, Stage};

use crate::linear::{FirstLayer, Folded, Transform};
use crate::parameters::{NetworkNoise, NoiseBudget, OneShotProfile};
use crate::query::{INPUT_SCALE_LOG2, QueryLayout};
use layer::Combination;

/// Half the torus in units of a pre-activation, unless the weights prove that less is enough.
///
/// A table repeats with the opposite sign after half the torus, so a saturated neuron may reach 16 less the width of its
/// activation's slope (about 3 for tanh) before its output bends back.
pub const DEFAULT_HALF_RANGE: f32 = 16.0;

/// Most neurons that are bootstrapped for one image.
pub const MAX_NEURONS: usize = 16_384;

/// The public part of a network for one-shot recognition: weights as integers, transformed once, and the tables of its
/// activations.
///
/// Layer by layer, a pre-activation z lies on the torus at `scale` integers (modulo 2^64) per unit. In the first layer the
/// inputs have 2^48 per unit and weights are multiples of 2^48 / scale. In a later layer the table's outputs have an
/// amplitude A per unit of activation, and weights are multiples of A / scale. A is as large as the scale allows for weights
/// of which rounding and the noise of their products spoil the sum equally.
pub struct OneShotNetwork {
    profile: OneShotProfile,
    layout: QueryLayout,
    layers: Vec<Layer>,
    classes: usize,
}

impl OneShotNetwork {
    /// Quantises the weights of `plan`, one slice per stage in the order of [`sphinx_network::Linear`].
    ///
    /// `half_range` is [`DEFAULT_HALF_RANGE`] or what the owner declares for all hidden layers.
    ///
    /// # Errors
    /// [`NetworkError`] naming what a one-shot recognition cannot evaluate.
    pub fn new<W: AsRef<[f32]>>(
        profile: OneShotProfile,
        plan: &Plan,
        weights: &[W],
        bias_bound: f32,
        half_range: f32,
    ) -> Result<Self, NetworkError> {
        check_weights(plan, weights)?;
        if !(half_range.is_finite() && half_range >= 1.0) {
            return Err(NetworkError::HalfRange { got: half_range });
        }
        let budget = NoiseBudget::new(&profile.parameters());
        let layout = QueryLayout::new(plan)?;
        let mut layers: Vec<Layer> = Vec::with_capacity(plan.stages.len());
        let (mut neurons, last) = (0usize, plan.stages.len() - 1);
        for (index, (stage, weights)) in plan.stages.iter().zip(weights).enumerate() {
            let shape = Folded::shape(stage);
            let folded = shape.weights(weights.as_ref());
            let activation = activation(index, stage, index == last)?;
            let reach = largest_sum(&folded, shape.outputs) * input_bound(stage, layers.last());
            let needed = reach + f64::from(bias_bound);
            let half_range = match activation {
                // A thirtieth is left for noise; logits may not wrap at all.
                None => needed * (1.0 + 1.0 / 32.0),
                Some(_) => needed.min(f64::from(half_range)).max(1.0),
            };
            let scale = 63f64.exp2() / half_range;
            let layer = match layers.last_mut() {
                None => first_layer(shape, &folded, scale)?,
                Some(previous) => {
                    later_layer(index, stage, shape, &folded, scale, previous, &budget)?
                }
            };
            if let Some(activation) = activation {
                neurons = neurons.saturating_add(layer.outputs);
                layers.push(layer.with(Lookup::new(activation)));
            } else {
                layers.push(layer);
            }
        }
        if neurons > MAX_NEURONS {
            return Err(NetworkError::TooManyNeurons { got: neurons, limit: MAX_NEURONS });
        }
        Ok(Self { profile, layout, layers, classes: plan.classes })
    }

    /// The profile that the network was quantised for.
    pub fn profile(&self) -> OneShotProfile {
        self.profile
    }

    /// Where the input lies in a query.
    pub fn layout(&self) -> &QueryLayout {
        &self.layout
    }

    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Blind rotations of one recognition.
    pub fn neurons(&self) -> usize {
        self.layers.iter().filter(|layer| layer.lookup.is_some()).map(|layer| layer.outputs).sum()
    }

    /// Integers modulo 2^64 per unit of a logit.
    pub fn logit_scale(&self) -> f64 {
        self.layers.last().map_or(1.0, |layer| layer.scale)
    }

    /// The noise that the parameters predict for this network: of its first layer, and of its last.
    pub fn noise(&self) -> NetworkNoise {
        let budget = NoiseBudget::new(&self.profile.parameters());
        let norm = |layer: Option<&Layer>| layer.map_or(0.0, |layer| layer.norm);
        let factor = self.layers.iter().map(|layer| layer.bias_factor()).max().unwrap_or(0);
        budget.network(norm(self.layers.first()), norm(self.layers.last()), factor as f64)
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

impl std::fmt::Debug for OneShotNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneShotNetwork")
            .field("profile", &self.profile)
            .field("layers", &self.layers.len())
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

fn check_weights<W: AsRef<[f32]>>(plan: &Plan, weights: &[W]) -> Result<(), NetworkError> {
    if weights.len() != plan.stages.len() {
        let (got, expected) = (weights.len(), plan.stages.len());
        return Err(NetworkError::Count { stage: None, got, expected });
    }
    for (index, (stage, weights)) in plan.stages.iter().zip(weights).enumerate() {
        let (got, expected) = (weights.as_ref().len(), stage.linear.weight_count());
        if got != expected {
            return Err(NetworkError::Count { stage: Some(index), got, expected });
        }
        if !weights.as_ref().iter().all(|weight| weight.is_finite()) {
            return Err(NetworkError::NotFinite { stage: index });
        }
    }
    if plan.stages.is_empty() { Err(NetworkError::NoStages) } else { Ok(()) }
}

/// The activation after a stage: exactly one, except none after the last.
fn activation(index: usize, stage: &Stage, last: bool) -> Result<Option<Activation>, NetworkError> {
    match (stage.steps.as_slice(), last) {
        ([], true) => Ok(None),
        ([step], false) => match step.op {
            ClientOp::Activation(activation) => Ok(Some(activation)),
            op @ (ClientOp::AvgPool { .. } | ClientOp::MaxPool { .. }) => {
                Err(NetworkError::Unsupported { stage: index, op: format!("{op:?}") })
            }
        },
        (steps, _) => {
            let ops: Vec<String> = steps.iter().map(|step| format!("{:?}", step.op)).collect();
            Err(NetworkError::Unsupported { stage: index, op: ops.join(", then ") })
        }
    }
}

/// Largest absolute value of an input of a stage, as it comes out of the table before (which centres it).
fn input_bound(stage: &Stage, previous: Option<&Layer>) -> f64 {
    let table = previous.and_then(|layer| layer.lookup.as_ref()).map(|lookup| lookup.bound());
    table.unwrap_or(f64::from(stage.input_bound))
}

/// The largest sum of absolute weights of an output.
fn largest_sum(weights: &[f32], outputs: usize) -> f64 {
    let rows = weights.chunks_exact(weights.len() / outputs);
    rows.map(|row| row.iter().map(|&w| f64::from(w.abs())).sum::<f64>()).fold(0.0, f64::max)
}

fn first_layer(shape: Folded, weights: &[f32], scale: f64) -> Result<Layer, NetworkError> {
    let transform = Transform::new().ok_or(NetworkError::NoTransform)?;
    // Biases have the scale of inputs, so their factor is an integer as well.
    let gain = (scale / f64::from(INPUT_SCALE_LOG2).exp2()).floor().max(1.0);
    let integers = layer::integers(0, weights, gain)?;
    let largest = layer::largest_norms(&integers, shape.outputs);
    if largest.sum > Transform::LARGEST_NORM {
        return Err(NetworkError::WeightsTooLarge {
            stage: 0,
            got: largest.sum,
            limit: Transform::LARGEST_NORM,
        });
    }
    let first = FirstLayer::new(transform, shape, &integers);
    let scale = gain * f64::from(INPUT_SCALE_LOG2).exp2();
    Ok(Layer::new(LayerMap::First(first), shape, scale, largest.euclidean))
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct would name the same things again")]
fn later_layer(
    index: usize,
    stage: &Stage,
    shape: Folded,
    weights: &[f32],
    scale: f64,
    previous: &mut Layer,
    budget: &NoiseBudget,
) -> Result<Layer, NetworkError> {
    let lookup = previous.lookup.as_mut().ok_or(NetworkError::NoStages)?;
    let taps = (weights.len() / shape.outputs) as f64;
    let norm = layer::largest_euclidean(weights, shape.outputs).max(f64::MIN_POSITIVE);
    // Variance of a sum: weights are rounded to 1/g, each error times an activation of mean square half the bound's; noise
    // is the table's times g · ‖w‖. The smallest sum of c / g² and d · g².
    let rounding = taps / 12.0 * lookup.bound().powi(2) / 2.0;
    let noise = budget.bootstrapping * (norm * 64f64.exp2() / scale).powi(2);
    let gain = (rounding / noise).powf(0.25).max(1.0);
    lookup.set_amplitude(scale / gain, previous.scale);
    let integers = layer::integers(index, weights, gain)?;
    let largest = layer::largest_norms(&integers, shape.outputs);
    let map = Combination::new(shape, stage.output.len(), &integers);
    let constants = lookup.offset_words(&map);
    let layer = Layer::new(LayerMap::Later(map), shape, scale, largest.euclidean);
    Ok(layer.with_constants(constants))
}
