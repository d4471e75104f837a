//! Weights of a stage and the state of its optimiser, part by part.

use bytes::Bytes;
use sphinx_optimizer::{OptimizerError, OptimizerSpec, OptimizerState, RuleState, TrainingRule};

use crate::Mismatch;

/// Most weights of one answer: 1 MiB, below the 4 MiB that gRPC clients accept.
pub const WEIGHTS_PER_PART: u32 = 262_144;

/// Weights from `offset` on, little-endian f32, at most `count` and at most
/// [`WEIGHTS_PER_PART`]; `None` if there is no such place.
pub fn weights_part(weights: &[f32], offset: u64, count: u32) -> Option<Bytes> {
    let offset = usize::try_from(offset).ok()?;
    let count = count.min(WEIGHTS_PER_PART) as usize;
    let part = weights.get(offset..weights.len().min(offset.saturating_add(count)))?;
    Some(part.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// Appends the weights of a part to those of its stage, which has `total`.
///
/// # Errors
/// [`Mismatch`] if the part is empty, not whole f32, or more than is missing.
pub fn append_weights(part: &[u8], total: usize, weights: &mut Vec<f32>) -> Result<(), Mismatch> {
    let (values, rest) = part.as_chunks::<4>();
    if values.is_empty() || !rest.is_empty() || weights.len() + values.len() > total {
        let got = format!("{} bytes of weights at {}", part.len(), weights.len());
        return Err(Mismatch::new(got, format!("{total} f32 in all")));
    }
    weights.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
    Ok(())
}

/// The state of a stage's optimiser as one vector: first moment, second moment and average, as far
/// as the rule keeps them.
pub fn optimizer_vector(state: &RuleState, stage: usize) -> Vec<f32> {
    let moments = state.moments().nth(stage);
    let moments = moments.into_iter().flat_map(|moments| [&moments.first, &moments.second]);
    let average = state.averages().and_then(|averages| averages.get(stage));
    let vectors = moments.chain(average.map(|average| &average.average));
    vectors.flatten().copied().collect()
}

/// Number of scalars in [`optimizer_vector`] for so many weights.
pub fn optimizer_len(rule: &TrainingRule, weights: usize) -> usize {
    let moments = match rule.optimizer {
        OptimizerSpec::Sgd { momentum: 0.0, .. } => 0,
        OptimizerSpec::Sgd { .. } => 1,
        OptimizerSpec::Adam { .. } => 2,
    };
    (moments + usize::from(rule.averaging.is_some())) * weights
}

/// The state of a rule from the vectors of all stages.
///
/// # Errors
/// As [`RuleState::restore`]; vectors of other lengths are refused by it.
pub fn optimizer_state(
    rule: TrainingRule,
    (steps, averaged): (u64, u64),
    vectors: Vec<Vec<f32>>,
    weights: &[Vec<f32>],
) -> Result<RuleState, OptimizerError> {
    let (mut moments, mut averages) = (Vec::new(), Vec::new());
    for (mut first, weights) in vectors.into_iter().zip(weights) {
        let average = match rule.averaging {
            Some(_) => first.split_off(first.len().saturating_sub(weights.len())),
            None => Vec::new(),
        };
        let second = match rule.optimizer {
            OptimizerSpec::Adam { .. } => first.split_off(first.len().min(weights.len())),
            OptimizerSpec::Sgd { .. } => Vec::new(),
        };
        moments.push(OptimizerState { steps, first, second });
        averages.push(average);
    }
    let averages = rule.averaging.map(|_| (averaged, averages));
    RuleState::restore(rule, moments, averages, weights)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sphinx_optimizer::{Decay, Schedule};

    use super::*;

    proptest! {
        #[test]
        fn weights_survive_the_journey(
            weights in proptest::collection::vec(any::<f32>(), 1..200),
            count in 1u32..80,
        ) {
            let mut back = Vec::new();
            while back.len() < weights.len() {
                let part = weights_part(&weights, back.len() as u64, count).unwrap();
                append_weights(&part, weights.len(), &mut back).unwrap();
            }
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&weights));
        }
    }

    #[test]
    fn places_beyond_the_end_have_no_part() {
        assert_eq!(weights_part(&[1.0; 3], 3, 9), Some(Bytes::new()));
        assert_eq!(weights_part(&[1.0; 3], 4, 9), None);
        assert_eq!(weights_part(&[1.0; 3], u64::MAX, 9), None);
    }

    #[test]
    fn rejects_parts_that_do_not_fit() {
        for (part, total) in [(vec![], 2), (vec![0; 7], 2), (vec![0; 12], 2)] {
            assert!(append_weights(&part, total, &mut Vec::new()).is_err(), "{}", part.len());
        }
    }

    #[test]
    fn the_state_of_every_rule_survives_the_journey() {
        let weights = vec![vec![1.0, -2.0, 0.5], vec![0.25]];
        let gradient = vec![vec![0.5, 0.25, -1.0], vec![2.0]];
        let schedule = Schedule { peak: 0.1, decay: Decay::Constant, warmup: 0, total: 9 };
        for optimizer in [
            OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
            OptimizerSpec::Sgd { momentum: 0.5, nesterov: true },
            OptimizerSpec::ADAM,
        ] {
            for averaging in [None, Some(0.5)] {
                let rule = TrainingRule { optimizer, schedule, averaging };
                let mut state = RuleState::new(rule, &weights).unwrap();
                let mut stepped = weights.clone();
                state.step(&state.rates(0), &mut stepped, &gradient).unwrap();
                let vectors: Vec<_> = (0..2).map(|stage| optimizer_vector(&state, stage)).collect();
                for (vector, weights) in vectors.iter().zip(&weights) {
                    assert_eq!(vector.len(), optimizer_len(&rule, weights.len()));
                }
                let averaged = averaging.map_or(0, |_| 1);
                let back = optimizer_state(rule, (1, averaged), vectors.clone(), &weights);
                assert_eq!(back.unwrap(), state);
                if !vectors[0].is_empty() {
                    let short = vec![vectors[0][1..].to_vec(), vectors[1].clone()];
                    assert!(optimizer_state(rule, (1, averaged), short, &weights).is_err());
                }
            }
        }
    }
}
