//! A network with integer weights and tables, ready for samples of any key.

mod error;
mod layer;
mod limits;
mod lookup;

pub use error::OneShotNetworkError;
pub(crate) use layer::{Layer, LayerMap};
pub use limits::{DEFAULT_HALF_RANGE, MAX_CLASSES, MAX_HALF_RANGE, MAX_NEURONS, MAX_TERMS};
pub(crate) use lookup::Lookup;

use sphinx_evaluation_keys::{LayoutError, OneShotProfile, QueryLayout};
use sphinx_linalg::BIAS_SCALE_LOG2;
use sphinx_network::{Activation, FoldedStage, Plan, Stage, StepOp};

use crate::linear::{FirstLayer, Transform};
use crate::noise::{NetworkNoise, NoiseBudget};
use layer::Combination;

/// The public part of a network for one-shot recognition: weights as integers, transformed once,
/// and the tables of its activations.
///
/// Layer by layer, a pre-activation z lies on the torus at `scale` integers (modulo 2^64) per unit.
/// In the first layer the inputs have 2^48 per unit and weights are multiples of 2^48 / scale. In a
/// later layer the table's outputs have an amplitude A per unit of activation, and weights are
/// multiples of A / scale. A is as large as the scale allows for weights of which rounding and the
/// noise of their products spoil the sum equally.
pub struct OneShotNetwork {
    profile: OneShotProfile,
    layout: QueryLayout,
    layers: Vec<Layer>,
    classes: usize,
}

impl OneShotNetwork {
    /// Quantises the weights of `plan`, one slice per stage in the order of
    /// [`sphinx_network::Linear`].
    ///
    /// `half_range` is [`DEFAULT_HALF_RANGE`] or what the owner declares for all hidden layers;
    /// layers whose weights prove that less is enough have less. Sizes are checked before anything
    /// is built.
    ///
    /// # Errors
    /// [`OneShotNetworkError`] naming what a one-shot recognition cannot evaluate.
    pub fn new<W: AsRef<[f32]>>(
        profile: OneShotProfile,
        plan: &Plan,
        weights: &[W],
        bias_bound: f32,
        half_range: f32,
    ) -> Result<Self, OneShotNetworkError> {
        limits::check_sizes(plan)?;
        limits::check_weights(plan, weights)?;
        let declared = limits::check_half_range(half_range)?;
        let budget = NoiseBudget::new(&profile.parameters());
        let layout = QueryLayout::new(plan)?;
        let mut layers: Vec<Layer> = Vec::with_capacity(plan.stages.len());
        let last = plan.stages.len() - 1;
        for (index, (stage, weights)) in plan.stages.iter().zip(weights).enumerate() {
            let shape = FoldedStage::new(stage);
            let folded = shape.weights(weights.as_ref());
            let lookup = activation(index, stage, index == last)?.map(Lookup::new);
            let (bound, offset) = input_range(stage, layers.last());
            let reach = reach(&folded, shape.outputs, bound, offset) + f64::from(bias_bound);
            let half_range = match &lookup {
                None => limits::half_range_of_logits(index, reach)?,
                Some(lookup) => lookup.half_range(index, reach, declared)?,
            };
            let scale = 63f64.exp2() / half_range;
            let layer = match layers.last_mut() {
                None => first_layer(&layout, shape, &folded, scale)?,
                Some(previous) => {
                    later_layer(index, stage, shape, &folded, scale, previous, &budget)?
                }
            };
            layers.push(match lookup {
                Some(lookup) => layer.with(lookup),
                None => layer,
            });
        }
        Ok(Self { profile, layout, layers, classes: plan.classes })
    }

    /// The profile that the network was quantised for.
    pub fn profile(&self) -> OneShotProfile {
        self.profile
    }

    /// Whether keys of a profile are enough for it: those of any for a linear network.
    pub fn served_by(&self, profile: OneShotProfile) -> bool {
        profile.bootstraps() || self.neurons() == 0
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
        let later = self.layers.get(1..).and_then(<[Layer]>::last).map(|layer| layer.norm);
        budget.network(norm(self.layers.first()), later, factor as f64)
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

/// The activation after a stage: exactly one, except none after the last.
fn activation(
    index: usize,
    stage: &Stage,
    last: bool,
) -> Result<Option<Activation>, OneShotNetworkError> {
    match (stage.steps.as_slice(), last) {
        ([], true) => Ok(None),
        ([step], false) => match step.op {
            StepOp::Activation(activation) => Ok(Some(activation)),
            op @ (StepOp::AvgPool { .. } | StepOp::MaxPool { .. }) => {
                Err(OneShotNetworkError::Unsupported { stage: index, op: format!("{op:?}") })
            }
        },
        (steps, _) => {
            let ops: Vec<String> = steps.iter().map(|step| format!("{:?}", step.op)).collect();
            Err(OneShotNetworkError::Unsupported { stage: index, op: ops.join(", then ") })
        }
    }
}

/// Inputs of a stage lie within ± the first number of the second one. A table has centred values;
/// what centres them is added to the sums in the clear.
fn input_range(stage: &Stage, previous: Option<&Layer>) -> (f64, f64) {
    let table = previous.and_then(|layer| layer.lookup.as_ref());
    table.map_or((f64::from(stage.input_bound), 0.0), |lookup| (lookup.bound(), lookup.offset()))
}

/// The largest absolute value that the sum of an output can take, without its bias: the inputs'
/// distances from `offset` by the absolute weights, and `offset` by the sum of the weights. No part
/// of a row, as the padding leaves at a border, has more as long as `offset` does not exceed
/// `bound`.
fn reach(weights: &[f32], outputs: usize, bound: f64, offset: f64) -> f64 {
    let rows = weights.chunks_exact(weights.len() / outputs);
    let reach = |row: &[f32]| {
        let (sum, absolute) = row.iter().fold((0.0, 0.0), |(sum, absolute), &weight| {
            (sum + f64::from(weight), absolute + f64::from(weight.abs()))
        });
        bound * absolute + offset * f64::abs(sum)
    };
    rows.map(reach).fold(0.0, f64::max)
}

fn first_layer(
    layout: &QueryLayout,
    shape: FoldedStage,
    weights: &[f32],
    scale: f64,
) -> Result<Layer, OneShotNetworkError> {
    let transform = Transform::new().ok_or(OneShotNetworkError::NoTransform)?;
    // Biases have the scale of inputs or a larger one, so their factor is an integer as well.
    let factor = (scale / f64::from(BIAS_SCALE_LOG2).exp2()).floor().max(1.0);
    let gain = factor * f64::from(BIAS_SCALE_LOG2 - layout.scale_log2()).exp2();
    let integers = layer::integers(0, weights, gain)?;
    let largest = layer::largest_norms(&integers, shape.outputs);
    if largest.sum > Transform::LARGEST_NORM {
        return Err(OneShotNetworkError::WeightsTooLarge {
            stage: 0,
            got: largest.sum,
            limit: Transform::LARGEST_NORM,
        });
    }
    let first = FirstLayer::new(transform, layout, shape, &integers);
    let scale = factor * f64::from(BIAS_SCALE_LOG2).exp2();
    Ok(Layer::new(LayerMap::First(first), shape, scale, largest.euclidean))
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct would name the same things again")]
fn later_layer(
    index: usize,
    stage: &Stage,
    shape: FoldedStage,
    weights: &[f32],
    scale: f64,
    previous: &mut Layer,
    budget: &NoiseBudget,
) -> Result<Layer, OneShotNetworkError> {
    let lookup = previous.lookup.as_mut().ok_or(LayoutError::NoStages)?;
    let taps = (weights.len() / shape.outputs) as f64;
    let norm = layer::largest_euclidean(weights, shape.outputs);
    // Variance of a sum: weights are rounded to 1/g, each error times an activation of mean square
    // half the bound's; noise is the table's times g · ‖w‖. The smallest sum of c / g² and d · g².
    let rounding = taps / 12.0 * lookup.bound().powi(2) / 2.0;
    let noise = budget.bootstrapping * (norm * 64f64.exp2() / scale).powi(2);
    let gain = match noise > 0.0 {
        true => (rounding / noise).powf(0.25).max(1.0),
        // Weights that are all zero spoil nothing.
        false => 1.0,
    };
    lookup.set_amplitude(scale / gain, previous.scale);
    let integers = layer::integers(index, weights, gain)?;
    let largest = layer::largest_norms(&integers, shape.outputs);
    let map = Combination::new(shape, stage.output.len(), &integers);
    let constants = map.offset_words(lookup);
    let layer = Layer::new(LayerMap::Later(map), shape, scale, largest.euclidean);
    Ok(layer.with_constants(constants))
}
