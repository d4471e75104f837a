use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_data::{Classes, Dataset};
use sphinx_network::{NetworkSpec, Shape, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};

use super::*;
use crate::training::batches;
use crate::training::clear::ClearTwin;
use crate::training::inputs::Inputs;
use crate::training::options::TrainingOptions;
use crate::training::step::gradients;

const NORM: f32 = 0.1;

fn spec() -> NetworkSpec {
    NetworkSpec::from_toml(
        r#"
        name = "small"
        input = { channels = 1, height = 8, width = 8 }
        [[layers]]
        kind = "conv"
        out_channels = 2
        kernel = 3
        [[layers]]
        kind = "tanh"
        [[layers]]
        kind = "dense"
        outputs = 10
        "#,
    )
    .unwrap()
}

fn options(blocks: u64) -> TrainingOptions {
    let target = Target::new(8.0, Delta::new(1e-5).unwrap()).unwrap();
    TrainingOptions {
        epochs: 3.0,
        blocks,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
        learning_rate: 0.1,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        privacy: Privacy::Budget { target, clipping_norm: NORM },
    }
}

/// Images of one class that hardly differ: all gradients point about the same way, so that sums are
/// as large as they can be, and their rounding with them.
fn alike(examples: usize) -> Dataset {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let images = (0..examples * 64).map(|at| ((at % 64) * 3) as u8 + rng.random_range(0..16));
    let (shape, classes) = (Shape::new(1, 8, 8), Classes::numbered(10));
    Dataset::new(images.collect(), vec![1; examples], shape, classes).unwrap()
}

/// The slack that the mechanism of a training allows for.
fn slack(blocks: u64) -> f64 {
    let (spec, options) = (spec(), options(blocks));
    let plan = Plan::new(&spec).unwrap();
    let planned = options.resolve(20_000).unwrap();
    let privacy = (options.privacy, planned.privacy.as_ref(), options.blocks);
    let maker = UpdateMaker::new(&plan, privacy).unwrap();
    maker.mechanism.unwrap().spec().slack
}

/// Through the kernels that train: one example less moves all behind it to other slots and across
/// the blocks' border.
#[test]
fn the_slack_covers_what_a_neighbour_moves_over_two_blocks() {
    let slack = slack(2);
    assert_eq!(slack, MechanismSpec::f32_slack(2, SLOTS as u64, SLOTS as u64));
    let (spec, data) = (spec(), alike(2 * SLOTS));
    let plan = Arc::new(Plan::new(&spec).unwrap());
    let inputs = Inputs::new(&plan, &data).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    let rule = options(2).rule(data.len()).unwrap();
    let mut twin = ClearTwin::new(&plan, parameters, rule).unwrap();
    let mut sums = |batch: &[usize]| -> Vec<BlockGradient> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let slots = batches::blocks(batch, 2, None, &mut rng);
        let (once, clipping) = (NonZeroUsize::MIN, Clipping::Flat(NORM));
        let sums = gradients(&mut twin, &plan, &inputs, &slots, once, clipping).unwrap();
        sums.into_iter().map(|(gradient, _)| gradient).collect()
    };
    let everybody: Vec<usize> = (0..data.len()).collect();
    let whole = sums(&everybody);
    assert!(whole.iter().all(|block| block.clipped == SLOTS), "every gradient has the norm");
    for left_out in [0, 1, 700, SLOTS - 1, SLOTS, 3000, 2 * SLOTS - 1] {
        let rest: Vec<usize> = everybody.iter().copied().filter(|e| *e != left_out).collect();
        let part = sums(&rest);
        let shifted = whole[0] != part[0] && whole[1] != part[1];
        assert_eq!(shifted, left_out < SLOTS, "{left_out}");
        let (whole, part) = (flat_sum(&whole), flat_sum(&part));
        let squares = whole.iter().zip(&part).map(|(a, b)| f64::from(a - b).powi(2));
        let moved = squares.sum::<f64>().sqrt() / f64::from(NORM);
        assert!((1.0 - slack..=1.0 + slack).contains(&moved), "without {left_out}: {moved}");
    }
}

#[test]
fn the_slack_of_more_blocks_hardly_costs_noise() {
    let costs: Vec<f64> = [1, 2, 4].map(slack).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(costs.iter().all(|cost| *cost > 0.0 && *cost < 0.005), "{costs:?}");
}
