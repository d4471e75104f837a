//! What a network may be, checked before anything is built of it.

use sphinx_evaluation_keys::LayoutError;
use sphinx_linalg::POLYNOMIAL_SIZE;
use sphinx_network::{FoldedStage, Plan, Stage};

use super::error::OneShotNetworkError;

/// Half the torus in units of a pre-activation, unless the weights prove that less is enough.
///
/// A table repeats with the opposite sign after half the torus, so a saturated neuron may reach 16
/// less the width of its activation's slope (about 3 for tanh) before its output bends back.
pub const DEFAULT_HALF_RANGE: f32 = 16.0;

/// The largest half of a range: a unit is then 2^48 integers, what inputs and biases have.
pub const MAX_HALF_RANGE: f32 = 32_768.0;

/// Most neurons that are bootstrapped for one image: about 16 s on two cores.
pub const MAX_NEURONS: usize = 4096;

/// Most logits: an answer has a coefficient for each.
pub const MAX_CLASSES: usize = POLYNOMIAL_SIZE;

/// Most terms in the sums of a network, results of later layers counted one by one: 16 bytes each.
pub const MAX_TERMS: usize = 4 << 20;

/// Checks the sizes that a plan alone tells, so that nobody's plan makes a server allocate or
/// compute without bounds.
pub(super) fn check_sizes(plan: &Plan) -> Result<(), OneShotNetworkError> {
    let (last, hidden) = plan.stages.split_last().ok_or(LayoutError::NoStages)?;
    let neurons = hidden.iter().map(|stage| stage.output.len()).fold(0, usize::saturating_add);
    if neurons > MAX_NEURONS {
        return Err(OneShotNetworkError::TooManyNeurons { got: neurons, limit: MAX_NEURONS });
    }
    let classes = plan.classes.max(last.output.len());
    if classes > MAX_CLASSES {
        return Err(OneShotNetworkError::TooManyClasses { got: classes, limit: MAX_CLASSES });
    }
    let mut got = 0usize;
    for (stage, shape) in plan.stages.iter().enumerate() {
        got = got.saturating_add(terms(stage, shape));
        if got > MAX_TERMS {
            return Err(OneShotNetworkError::TooManyTerms { stage, got, limit: MAX_TERMS });
        }
    }
    Ok(())
}

/// Terms that a stage holds: one kernel per channel in the first, one list per result in later
/// ones. Their padding passes through memory as well.
fn terms(index: usize, stage: &Stage) -> usize {
    let shape = FoldedStage::new(stage);
    match index {
        0 => shape.tap_count().saturating_mul(shape.outputs),
        _ => shape.tap_count().saturating_mul(stage.output.len()).max(shape.padded_len()),
    }
}

pub(super) fn check_weights<W: AsRef<[f32]>>(
    plan: &Plan,
    weights: &[W],
) -> Result<(), OneShotNetworkError> {
    if weights.len() != plan.stages.len() {
        let (got, expected) = (weights.len(), plan.stages.len());
        return Err(OneShotNetworkError::Count { stage: None, got, expected });
    }
    for (index, (stage, weights)) in plan.stages.iter().zip(weights).enumerate() {
        let (got, expected) = (weights.as_ref().len(), stage.linear.weight_count());
        if got != expected {
            return Err(OneShotNetworkError::Count { stage: Some(index), got, expected });
        }
        if !weights.as_ref().iter().all(|weight| weight.is_finite()) {
            return Err(OneShotNetworkError::NotFinite { stage: index });
        }
    }
    Ok(())
}

pub(super) fn check_half_range(got: f32) -> Result<f64, OneShotNetworkError> {
    match (1.0..=MAX_HALF_RANGE).contains(&got) {
        true => Ok(f64::from(got)),
        false => Err(OneShotNetworkError::HalfRange { got, limit: MAX_HALF_RANGE }),
    }
}

/// Half a range for values of at most `reach`, and a thirtieth for their noise. At least a unit.
pub(super) fn with_margin(reach: f64) -> f64 {
    (reach * (1.0 + 1.0 / 32.0)).max(1.0)
}

/// Half the torus in units of logits of at most `reach`: they may not wrap at all.
pub(super) fn half_range_of_logits(stage: usize, reach: f64) -> Result<f64, OneShotNetworkError> {
    let (half_range, limit) = (with_margin(reach), f64::from(MAX_HALF_RANGE));
    match half_range <= limit {
        true => Ok(half_range),
        false => Err(OneShotNetworkError::LogitsTooLarge { stage, got: half_range, limit }),
    }
}
