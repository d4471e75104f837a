//! How the integer weights of one version of a model differ from those of another.

use sphinx_linalg::LinearMap;
use sphinx_network::{Direction, Stage};

use crate::inference::QuantisationError;
use crate::lower::{Geometry, LowerError, forward_taps};

/// Largest absolute integer weight of a stage.
pub(super) const WEIGHT_LIMIT: f64 = 127.0;
/// Largest absolute difference of two integer weights.
pub const MAX_WEIGHT_DIFFERENCE: i32 = 2 * WEIGHT_LIMIT as i32;

/// W' - W of two versions of a stage, in the order of [`crate::InferenceStage::weights`].
pub fn weight_difference(from: &[i8], to: &[i8]) -> Vec<i32> {
    from.iter().zip(to).map(|(&from, &to)| i32::from(to) - i32::from(from)).collect()
}

/// The linear map of `stage`, number `index` of its plan, with these integers for weights,
/// `[channel][tap]`.
///
/// # Errors
/// [`QuantisationError::Count`] unless there are [`integer_weight_count`] of them.
pub fn integer_map(
    index: usize,
    stage: &Stage,
    weights: &[i32],
) -> Result<LinearMap, QuantisationError> {
    let expected = integer_weight_count(stage);
    if weights.len() != expected {
        let (what, got) = ("integer weights", weights.len());
        return Err(QuantisationError::Count { what, got, expected });
    }
    let geometry = Geometry::new(index, stage, Direction::Forward);
    let map = geometry.map(weights);
    Ok(map.map_err(|source| LowerError::Shape { stage: index, source })?)
}

/// Integer weights of a stage after pool folding.
pub fn integer_weight_count(stage: &Stage) -> usize {
    stage.linear.bias_count() * forward_taps(stage)
}

/// The largest sum of squared integer weights that one result of the stage can have, whatever its
/// weights are.
pub fn weight_norm_squared_limit(stage: &Stage) -> f64 {
    forward_taps(stage) as f64 * WEIGHT_LIMIT * WEIGHT_LIMIT
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;
    use sphinx_network::{NetworkSpec, Plan, initial_parameters};

    use super::*;
    use crate::inference::{DEFAULT_ACTIVATION_BITS, InferenceStage, apply_clear};

    fn versions(name: &str) -> (Plan, Vec<[InferenceStage; 2]>) {
        let spec = NetworkSpec::builtin(name).unwrap();
        let plan = Plan::new(&spec).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (old, new) = (initial_parameters(&plan, &mut rng), initial_parameters(&plan, &mut rng));
        let stages = plan.stages.iter().zip(old.iter().zip(&new)).enumerate();
        let pairs = stages.map(|(index, (stage, (old, new)))| {
            [old, new].map(|parameters| {
                let bits = DEFAULT_ACTIVATION_BITS;
                let weights = &parameters.weights;
                InferenceStage::new(index, stage, weights, spec.bias_bound, bits).unwrap()
            })
        });
        let pairs = pairs.collect();
        (plan, pairs)
    }

    /// Convolutions with stride and padding, folded pools and dense layers.
    #[test]
    fn old_products_and_the_difference_make_the_new_ones() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        for name in ["sphinx-mnist", "lola", "mlp-100"] {
            let (plan, pairs) = versions(name);
            for (index, (stage, [old, new])) in plan.stages.iter().zip(&pairs).enumerate() {
                let difference = weight_difference(&old.weights, &new.weights);
                assert!(difference.iter().all(|d| d.abs() <= MAX_WEIGHT_DIFFERENCE));
                let map = integer_map(index, stage, &difference).unwrap();
                let r: Vec<i32> = (0..map.inputs()).map(|_| rng.next_u32().cast_signed()).collect();
                let old = apply_clear(&old.map, &r);
                let sums = old.iter().zip(apply_clear(&map, &r)).map(|(a, b)| a + b);
                assert_eq!(sums.collect::<Vec<_>>(), apply_clear(&new.map, &r), "{name} {index}");
            }
        }
    }

    #[test]
    fn no_version_exceeds_the_limit_of_norms() {
        for name in ["sphinx-mnist", "lola", "mlp-100"] {
            let (plan, pairs) = versions(name);
            for (stage, [old, _]) in plan.stages.iter().zip(&pairs) {
                let taps = forward_taps(stage);
                let rows = old.weights.chunks_exact(taps);
                let norm = |row: &[i8]| row.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>();
                let largest = rows.map(norm).fold(0.0, f64::max);
                assert!(largest <= weight_norm_squared_limit(stage));
                assert_eq!(old.map.groups().iter().map(|group| group.taps).max(), Some(taps));
            }
        }
    }

    #[test]
    fn rejects_weights_of_another_stage() {
        let (plan, _) = versions("lola");
        let error = integer_map(0, &plan.stages[0], &[1; 124]).unwrap_err();
        let expected =
            QuantisationError::Count { what: "integer weights", got: 124, expected: 125 };
        assert_eq!(error, expected);
    }
}
