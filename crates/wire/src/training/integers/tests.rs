use std::collections::HashSet;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::LinearMap;
use sphinx_network::NetworkSpec;
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, StepRates, TrainingRule};
use sphinx_quantise::apply_clear;

use super::*;
use crate::state::WeightState;
use crate::training::{
    INPUT_NOISE, backward_input_scale, encode, forward_budget, forward_input_scale,
};

/// A convolution with a folded pool, behind it one whose inputs go up to 6, and a dense layer.
fn plan() -> Plan {
    let spec = NetworkSpec::from_toml(
        r#"
        name = "three stages"
        input = { channels = 1, height = 8, width = 8 }
        [[layers]]
        kind = "conv"
        out_channels = 2
        kernel = 3
        stride = 1
        padding = 1
        [[layers]]
        kind = "avg_pool"
        size = 2
        [[layers]]
        kind = "relu"
        cap = 6.0
        [[layers]]
        kind = "conv"
        out_channels = 3
        kernel = 2
        stride = 2
        padding = 0
        [[layers]]
        kind = "tanh"
        [[layers]]
        kind = "dense"
        outputs = 4
        "#,
    );
    Plan::new(&spec.unwrap()).unwrap()
}

fn weights(plan: &Plan, magnitude: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let stage = |stage: &Stage| -> Vec<f32> {
        let count = stage.linear.weight_count();
        (0..count).map(|_| rng.random_range(-magnitude..=magnitude)).collect()
    };
    plan.stages.iter().map(stage).collect()
}

/// The largest absolute result of every row when each input has the sign that hurts most.
fn worst(map: &LinearMap, limit: i64) -> i64 {
    let rows = map.groups().iter().flat_map(|group| group.weights.chunks(group.taps));
    let sums = rows.map(|row| row.iter().map(|&weight| i64::from(weight.abs()) * limit).sum());
    sums.max().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_input_and_no_noise_drives_a_result_out_of_32_bits(
        seed: u64, magnitude in 1e-4..30.0f32,
        biases in prop::sample::select(vec![BiasForm::AtHome, BiasForm::Encrypted]),
        profile in prop::sample::select(Profile::ALL.to_vec()),
        extreme in prop::sample::select(vec![f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 2.0, -7.0]),
    ) {
        let geometries = Geometries::new(plan(), Form { profile, biases }, 4.0);
        let plan = geometries.plan();
        let stages = geometries.lower(&weights(plan, magnitude, seed)).unwrap();
        for (stage, integers) in plan.stages.iter().zip(&stages) {
            for (direction, scale, budget) in [
                (
                    Direction::Forward,
                    forward_input_scale(stage, profile),
                    forward_budget(stage, profile),
                ),
                (
                    Direction::Backward,
                    backward_input_scale(profile),
                    backward_budget(profile),
                ),
            ] {
                let Some(product) = integers.product(direction) else { continue };
                let limit = budget.largest_message() as i32;
                let noisy = i64::from(limit) + INPUT_NOISE as i64;
                let bound = worst(&product.map, noisy);
                let range = 1i64 << (profile.modulus_log2() - 1);
                prop_assert!(bound < range, "{bound}");
                prop_assert_eq!(product.bounds.iter().fold(0.0, |a: f64, b| a.max(*b)), bound as f64);

                // Through encoding, whatever the values: its signs follow a row of the map.
                let group = &product.map.groups()[0];
                let patch = &group.patches[0];
                let mut values = vec![extreme; product.map.inputs()];
                for (&input, weight) in patch.gather.iter().zip(&group.weights) {
                    values[input as usize] = extreme * weight.signum() as f32;
                }
                let mut messages = vec![0; values.len()];
                encode(&values, scale, limit, &mut messages);
                for message in &mut messages {
                    *message += INPUT_NOISE as i32 * message.signum();
                }
                let results = apply_clear(&product.map, &messages);
                prop_assert!(results.iter().all(|result| result.abs() < range));
            }
        }
    }

    /// A message at its limit with its noise meets the row with the largest weights.
    #[test]
    fn the_range_is_used(seed: u64) {
        let geometries = Geometries::new(plan(), Form::default(), 4.0);
        let stages = geometries.lower(&weights(geometries.plan(), 0.5, seed)).unwrap();
        for (stage, integers) in geometries.plan().stages.iter().zip(&stages) {
            let limit = forward_budget(stage, Profile::Glwe2048T32).largest_message() + INPUT_NOISE;
            let bound = worst(&integers.forward.map, limit as i64);
            prop_assert!(bound > 1 << 30, "{bound}");
        }
    }
}

/// z = W x + S b, and S b stands for b to within half a step of the input's scale.
#[test]
fn encrypted_biases_are_added_to_their_channels_alone() {
    let (bound, bias) = (4.0, 3.25f32);
    let [home, sent] = [BiasForm::AtHome, BiasForm::Encrypted]
        .map(|biases| Geometries::new(plan(), Form { biases, ..Form::default() }, bound));
    let weights = weights(home.plan(), 0.5, 7);
    let products = sent.lower(&weights).unwrap();
    for (stage, StageIntegers { forward, backward }) in home.plan().stages.iter().zip(&products) {
        let (inputs, channels) = (stage.input.len(), stage.linear.bias_count());
        assert_eq!(forward.map.inputs(), inputs + channels);
        assert_eq!(forward.map.outputs(), stage.output.len());
        for own in 0..channels {
            let mut values = vec![0.0; inputs + channels];
            values[inputs + own] = bias * stage.input_bound / bound;
            let mut messages = vec![0; values.len()];
            let profile = sent.form().profile;
            let budget = forward_budget(stage, profile);
            let limit = budget.largest_message() as i32;
            encode(&values, forward_input_scale(stage, profile), limit, &mut messages);
            for (row, result) in apply_clear(&forward.map, &messages).into_iter().enumerate() {
                let channel = row / forward.rows_per_channel;
                let expected = if channel == own { f64::from(bias) } else { 0.0 };
                let got = result as f64 / forward.scales[channel];
                // Rounding of the bias, and of the weight that it meets.
                let step = f64::from(bound) / budget.largest_message()
                    + budget.largest_message() / forward.scales[channel];
                assert!((got - expected).abs() <= step, "{own} {row}: {got} for {expected}");
            }
        }
        assert_eq!(*backward, home.lower(&weights).unwrap()[stage_index(&home, stage)].backward);
    }
}

fn stage_index(geometries: &Geometries, stage: &Stage) -> usize {
    geometries.plan().stages.iter().position(|other| other == stage).unwrap()
}

#[test]
fn the_first_stage_has_no_product_backward() {
    let geometries = Geometries::new(plan(), Form::default(), 4.0);
    let stages = geometries.lower(&weights(geometries.plan(), 1.0, 1)).unwrap();
    let backward: Vec<_> =
        stages.iter().map(|stage| stage.product(Direction::Backward).is_some()).collect();
    assert_eq!(backward, [false, true, true]);
    let sizes = |stage: &StageIntegers| {
        let back = stage.backward.as_ref().map(|back| (back.map.outputs(), back.map.inputs()));
        (stage.forward.map.inputs(), stage.forward.map.outputs(), back)
    };
    assert_eq!(sizes(&stages[0]), (64, 32, None));
    assert_eq!(sizes(&stages[1]), (32, 12, Some((32, 12))));
    assert_eq!(sizes(&stages[2]), (12, 4, Some((12, 4))));
}

#[test]
fn rejects_weights_that_are_not_the_networks() {
    let geometries = Geometries::new(plan(), Form::default(), 4.0);
    let good = weights(geometries.plan(), 1.0, 1);
    for (stage, value) in [(0, f32::NAN), (1, f32::INFINITY), (2, 1e12)] {
        let mut weights = good.clone();
        weights[stage][3] = value;
        assert!(geometries.lower(&weights).is_err(), "{value} in stage {stage}");
        weights[stage].truncate(3);
        assert!(geometries.lower(&weights).is_err());
    }
}

/// All single changes of what a session computes with.
fn changed(stages: &[StageIntegers]) -> Vec<Vec<StageIntegers>> {
    let mut all = Vec::new();
    for stage in 0..stages.len() {
        for direction in [Direction::Forward, Direction::Backward] {
            let Some(product) = stages[stage].product(direction) else { continue };
            let map = &product.map;
            let mut products = Vec::new();
            for group in 0..map.groups().len() {
                let last = map.groups()[group].weights.len() - 1;
                for (place, step) in [(0, 1), (0, 256), (last, 1), (last, -1)] {
                    let mut groups = map.groups().to_vec();
                    groups[group].weights[place] += step;
                    let map = LinearMap::new(map.inputs(), map.outputs(), groups).unwrap();
                    products.push(Lowered { map, ..product.clone() });
                }
            }
            for channel in 0..product.scales.len() {
                let mut product = product.clone();
                product.scales[channel] += 1.0;
                products.push(product);
            }
            all.extend(products.into_iter().map(|product| {
                let mut stages = stages.to_vec();
                match direction {
                    Direction::Forward => stages[stage].forward = product,
                    Direction::Backward => stages[stage].backward = Some(product),
                }
                stages
            }));
        }
    }
    all
}

#[test]
fn the_working_hash_tells_every_weight_scale_and_moment_apart() {
    let geometries = Geometries::new(plan(), Form::default(), 4.0);
    let mut state = WeightState { weights: weights(geometries.plan(), 0.5, 3), rule: None };
    let stages = geometries.lower(&state.weights).unwrap();
    let optimizer = state.optimizer_sha256();
    let mut hashes = HashSet::from([working_sha256(&stages, &optimizer)]);
    let changes = changed(&stages);
    assert!(changes.len() > 40, "{}", changes.len());
    for stages in &changes {
        assert!(hashes.insert(working_sha256(stages, &optimizer)));
    }

    // The moments of an optimiser, before and after a step of rate zero: the weights are the same.
    let rule = TrainingRule {
        optimizer: OptimizerSpec::ADAM,
        schedule: Schedule { peak: 0.1, decay: Decay::Constant, warmup: 0, total: 9 },
        averaging: None,
    };
    let before = state.weights.clone();
    state = state.opened(rule, false).unwrap();
    assert!(hashes.insert(working_sha256(&stages, &state.optimizer_sha256())));
    let rates = state.rule.as_ref().unwrap().rates(0);
    let still = StepRates { learning_rate: 0.0, ..rates };
    state.step(&still, &before).unwrap();
    assert_eq!(state.weights, before);
    assert!(hashes.insert(working_sha256(&stages, &state.optimizer_sha256())));
    assert_eq!(hashes.len(), changes.len() + 3);
}
