//! Both sides step the same weights to the same bits.

use proptest::prelude::*;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule};

use crate::parameters::{optimizer_state, optimizer_vector};
use crate::state::{NoAverage, WeightState};

pub(super) const SCHEDULE: Schedule =
    Schedule { peak: 0.05, decay: Decay::Cosine { floor: 0.1 }, warmup: 2, total: 20 };
const MOMENTUM: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.9, nesterov: false };

fn rules() -> impl Strategy<Value = TrainingRule> {
    let optimizer = prop::sample::select(vec![
        OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
        MOMENTUM,
        OptimizerSpec::Sgd { momentum: 0.5, nesterov: true },
        OptimizerSpec::ADAM,
    ]);
    let averaging = prop::sample::select(vec![None, Some(0.0), Some(0.9)]);
    (optimizer, averaging).prop_map(|(optimizer, averaging)| TrainingRule {
        optimizer,
        schedule: SCHEDULE,
        averaging,
    })
}

fn rule(optimizer: OptimizerSpec, averaging: Option<f32>) -> TrainingRule {
    TrainingRule { optimizer, schedule: SCHEDULE, averaging }
}

fn fresh() -> WeightState {
    WeightState { weights: vec![vec![1.0, -2.0, 0.25], vec![0.5, -0.125]], rule: None }
}

/// Gradients of both stages, by step.
fn gradients() -> impl Strategy<Value = Vec<Vec<Vec<f32>>>> {
    let stage = |count| proptest::collection::vec(-8f32..8.0, count);
    let step = (stage(3), stage(2)).prop_map(|(first, second)| vec![first, second]);
    proptest::collection::vec(step, 1..8)
}

fn step(state: &mut WeightState, number: u64, gradient: &[Vec<f32>]) {
    let rates = state.rule.as_ref().unwrap().rates(number);
    state.step(&rates, gradient).unwrap();
}

/// What the other side has after it has fetched weights and optimiser part by part.
fn fetched(state: &WeightState) -> WeightState {
    let kept = state.rule.as_ref().unwrap();
    let vectors = (0..state.weights.len()).map(|stage| optimizer_vector(kept, stage)).collect();
    let steps = kept.moments().next().unwrap().steps;
    let averaged = kept.averages().map_or(0, |averages| averages[0].updates);
    let weights = state.weights.clone();
    let rule = optimizer_state(*kept.rule(), (steps, averaged), vectors, &weights).unwrap();
    WeightState { weights, rule: Some(rule) }
}

fn bits(state: &WeightState) -> Vec<u32> {
    state.weights.iter().flatten().map(|weight| weight.to_bits()).collect()
}

proptest! {
    #[test]
    fn both_sides_agree_bit_for_bit_wherever_one_begins_anew(
        rule in rules(), gradients in gradients(), again: prop::sample::Index,
    ) {
        let mut one = fresh().opened(rule, false).unwrap();
        let mut other = one.clone();
        let again = again.index(gradients.len());
        for (number, gradient) in (0u64..).zip(&gradients) {
            if number == again as u64 {
                other = fetched(&one).opened(rule, true).unwrap();
            }
            step(&mut one, number, gradient);
            // The rates travel; they are not computed twice.
            let rates = one.rule.as_ref().unwrap();
            prop_assert_eq!(rates.moments().next().unwrap().steps, number + 1);
            step(&mut other, number, gradient);
            prop_assert_eq!(bits(&one), bits(&other));
            prop_assert_eq!(one.weights_sha256(), other.weights_sha256());
            prop_assert_eq!(one.optimizer_sha256(), other.optimizer_sha256());
        }
        prop_assert_eq!(one.adopt(), other.adopt());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn hashes_tell_weights_moments_and_averages_apart(
        rule in rules(), gradients in gradients(), stage in 0usize..2, place in 0usize..2,
    ) {
        let mut state = fresh().opened(rule, false).unwrap();
        (0u64..).zip(&gradients).for_each(|(number, one)| step(&mut state, number, one));
        let optimizer = state.optimizer_sha256();

        let mut other = state.clone();
        other.weights[stage][place] = f32::from_bits(other.weights[stage][place].to_bits() ^ 1);
        prop_assert_ne!(other.weights_sha256(), state.weights_sha256());
        prop_assert_eq!(other.optimizer_sha256(), optimizer);

        let kept = state.rule.as_ref().unwrap();
        let steps = kept.moments().next().unwrap().steps;
        let averaged = kept.averages().map_or(0, |averages| averages[0].updates);
        let vectors: Vec<_> = (0..2).map(|stage| optimizer_vector(kept, stage)).collect();
        let hash = |counts, vectors| {
            let rule = optimizer_state(rule, counts, vectors, &state.weights).unwrap();
            WeightState { rule: Some(rule), ..state.clone() }.optimizer_sha256()
        };
        prop_assert_eq!(hash((steps, averaged), vectors.clone()), optimizer);
        prop_assert_ne!(hash((steps + 1, averaged), vectors.clone()), optimizer);
        if rule.averaging.is_some() {
            prop_assert_ne!(hash((steps, averaged + 1), vectors.clone()), optimizer);
        }
        for at in 0..vectors[stage].len() {
            let mut vectors = vectors.clone();
            vectors[stage][at] += 1.0;
            prop_assert_ne!(hash((steps, averaged), vectors), optimizer);
        }
    }
}

#[test]
fn initial_weights_follow_the_seed() {
    let plan = Plan::new(&NetworkSpec::builtin("sphinx-mnist").unwrap()).unwrap();
    let initial = |seed| WeightState::initial(&plan, seed);
    assert_eq!(initial(7), initial(7));
    assert_ne!(initial(7).weights_sha256(), initial(8).weights_sha256());
    assert_eq!(initial(7).rule, None);
    assert_eq!(initial(7).optimizer_sha256(), fresh().optimizer_sha256());
}

#[test]
fn moments_are_carried_over_to_another_training_and_averages_are_not() {
    let gradient = vec![vec![0.5, 1.0, -1.0], vec![2.0, -0.5]];
    let averaging = rule(OptimizerSpec::ADAM, Some(0.5));
    let mut before = fresh().opened(averaging, false).unwrap();
    step(&mut before, 0, &gradient);
    step(&mut before, 1, &gradient);

    let within = before.clone().opened(averaging, true).unwrap();
    assert_eq!(within, before);

    // Another training with another schedule: moments go on, the average begins at the weights.
    let schedule = Schedule { peak: 0.5, ..SCHEDULE };
    let next = before.clone().opened(TrainingRule { schedule, ..averaging }, false).unwrap();
    let (kept, old) = (next.rule.as_ref().unwrap(), before.rule.as_ref().unwrap());
    assert!(kept.moments().eq(old.moments()));
    for (average, weights) in kept.averages().unwrap().iter().zip(&before.weights) {
        assert_eq!((average.updates, &average.average), (0, weights));
    }
    assert_eq!(next.weights, before.weights);

    // One that keeps none has the moments alone.
    let none = before.clone().opened(rule(OptimizerSpec::ADAM, None), false).unwrap();
    assert!(none.rule.as_ref().unwrap().moments().eq(old.moments()));
    assert_eq!(none.rule.as_ref().unwrap().averages(), None);

    // Another optimiser begins anew.
    let other = before.opened(rule(MOMENTUM, None), false).unwrap();
    assert_eq!(
        other.optimizer_sha256(),
        fresh().opened(rule(MOMENTUM, None), false).unwrap().optimizer_sha256()
    );
}

#[test]
fn averages_are_adopted_where_they_are_kept() {
    assert_eq!(fresh().adopt(), Err(NoAverage));
    let mut none = fresh().opened(rule(MOMENTUM, None), false).unwrap();
    assert_eq!(none.adopt(), Err(NoAverage));
    assert_eq!(none.weights, fresh().weights);

    let mut state = fresh().opened(rule(MOMENTUM, Some(0.5)), false).unwrap();
    step(&mut state, 0, &[vec![1.0; 3], vec![-1.0; 2]]);
    let stepped = state.clone();
    state.adopt().unwrap();
    let averages = stepped.rule.as_ref().unwrap().averages().unwrap();
    assert!(state.weights.iter().eq(averages.iter().map(|average| &average.average)));
    assert_ne!(state.weights, stepped.weights);
    // The optimiser makes no step, and the average stays as it is.
    assert_eq!(state.optimizer_sha256(), stepped.optimizer_sha256());
    // Adopted twice it is the same.
    let once = state.clone();
    state.adopt().unwrap();
    assert_eq!(state, once);
}

#[test]
fn rejects_gradients_that_do_not_fit() {
    let mut state = fresh().opened(rule(MOMENTUM, None), false).unwrap();
    let rates = state.rule.as_ref().unwrap().rates(0);
    for gradient in [vec![], vec![vec![1.0; 3]], vec![vec![1.0; 3], vec![1.0; 3]]] {
        assert!(state.clone().step(&rates, &gradient).is_err(), "{gradient:?}");
    }
    assert!(state.step(&rates, &[vec![f32::NAN; 3], vec![1.0; 2]]).is_err());
}
