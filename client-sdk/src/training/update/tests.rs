use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_data::{Classes, Dataset};
use sphinx_linalg::SLOTS;
use sphinx_network::{NetworkSpec, Shape, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};

use super::*;
use crate::training::augmentation::Augmentation;
use crate::training::batches;
use crate::training::clear::ClearTwin;
use crate::training::evaluator::Whole;
use crate::training::inputs::{Inputs, Slot};
use crate::training::options::TrainingOptions;
use crate::training::persons::Persons;
use crate::training::randomness::{Purpose, StepRandomness};
use crate::training::step::{Sharing, gradients};

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
        persons: None,
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

fn maker(options: &TrainingOptions) -> UpdateMaker {
    let plan = Plan::new(&spec()).unwrap();
    let planned = options.resolve(20_000).unwrap();
    UpdateMaker::new(&plan, (options, planned.privacy.as_ref())).unwrap()
}

#[test]
fn the_mechanism_allows_for_the_proven_slack() {
    for (blocks, copies) in [(1, 1), (4, 1), (2, 8)] {
        let augmentation = (copies > 1).then_some(Augmentation { copies, shift: 1 });
        let maker = maker(&TrainingOptions { augmentation, ..options(blocks) });
        let slack = maker.mechanism.unwrap().spec().slack;
        assert_eq!(slack, MechanismSpec::group_slack(blocks, copies));
    }
}

/// The world of the coupling: two blocks full of examples that are alike, and the sums over any of
/// their slots through the loop that trains.
struct Coupling {
    plan: Arc<Plan>,
    data: Dataset,
    twin: ClearTwin,
    options: TrainingOptions,
}

impl Coupling {
    fn new(copies: u64) -> Self {
        let augmentation = (copies > 1).then_some(Augmentation { copies, shift: 1 });
        let options = TrainingOptions { augmentation, ..options(2) };
        let (plan, data) = (Plan::new(&spec()).unwrap(), alike(2 * SLOTS / copies as usize));
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
        let twin = ClearTwin::new(&plan, parameters, options.rule(data.len()).unwrap()).unwrap();
        Self { plan: Arc::new(plan), data, twin, options }
    }

    /// The slots of a step that has drawn everybody.
    fn slots(&self) -> Vec<Vec<Slot>> {
        let everybody: Vec<usize> = (0..self.data.len()).collect();
        let (randomness, augmentation) = (StepRandomness::new([2; 32]), self.options.augmentation);
        batches::blocks(&everybody, 2, augmentation, self.data.len(), &randomness, 3)
    }

    fn sums(&mut self, slots: &[Vec<Slot>]) -> Vec<BlockGradient> {
        let inputs = Inputs::new(&self.plan, &self.data).unwrap();
        let of_one = self.options.slots_of_one();
        let sharing = match self.options.persons {
            Some(_) => Sharing::Persons(of_one),
            None => Sharing::Copies(of_one),
        };
        let clipping = Clipping::Flat(NORM);
        let (mut shard, slots) = (Whole(&mut self.twin), (0, slots));
        let sums = gradients(&mut shard, &self.plan, &inputs, slots, sharing, clipping);
        let sums = sums.unwrap();
        sums.into_iter().map(|(gradient, _)| gradient).collect()
    }
}

/// The same blocks with only those slots filled that `keep` says, by block, slot and what is shown.
fn only(slots: &[Vec<Slot>], keep: impl Fn(usize, usize, usize) -> bool) -> Vec<Vec<Slot>> {
    let mut slots = slots.to_vec();
    for (block, slots) in slots.iter_mut().enumerate() {
        for (at, slot) in slots.iter_mut().enumerate() {
            slot.filled &= keep(block, at, slot.view.example);
        }
    }
    slots
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Two data sets, one with nothing in the place of an example, the same slots and the same noise,
/// through forward and backward pass, clipping, summing, noise and the update.
#[test]
fn a_neighbour_moves_the_release_by_one_clipped_example_and_no_other_bit() {
    for copies in [1, 4] {
        let mut world = Coupling::new(copies);
        let stride = SLOTS / copies as usize;
        let slots = world.slots();
        let whole = world.sums(&slots);
        assert!(whole.iter().all(|block| block.clipped == stride), "every gradient has the norm");
        for gone in [0, 700, world.data.len() - 1] {
            let part = world.sums(&only(&slots, |_, _, example| example != gone));
            let shows =
                |block: &Vec<Slot>| block[..stride].iter().position(|s| s.view.example == gone);
            let (block, place) = slots
                .iter()
                .enumerate()
                .find_map(|(block, slots)| Some((block, shows(slots)?)))
                .unwrap();
            assert!(whole[1 - block] == part[1 - block], "the other block keeps every bit");
            assert_eq!((part[block].examples, part[1 - block].examples), (stride - 1, stride));

            // The example's own group with and without it, everything else empty.
            let group = |at_block: usize, at: usize| {
                let at = at % stride;
                at_block == block && at / 128 == place / 128 && at % 16 == place % 16
            };
            let with = world.sums(&only(&slots, |block, at, _| group(block, at)));
            let without = only(&slots, |block, at, example| group(block, at) && example != gone);
            let without = world.sums(&without);
            let alone = world.sums(&only(&slots, |_, _, example| example == gone));
            let [whole, part, with, without, alone] =
                [&whole, &part, &with, &without, &alone].map(|sums| flat_sum(sums));
            let moved = difference(&whole, &part);
            // A bit of another group would be 2^-24 of that group's sum, which is larger than C.
            let own = difference(&with, &without);
            assert!(distance(&moved, &own) < 1e-11 * f64::from(NORM), "{copies}: {gone}");

            let (maker, norm) = (maker(&world.options), f64::from(NORM));
            let mechanism = maker.mechanism.unwrap();
            let slack = mechanism.spec().slack;
            let zeros = vec![0.0; moved.len()];
            assert!(distance(&alone, &zeros) <= norm, "{copies}: {gone}");
            assert!(distance(&moved, &alone) <= slack * norm, "{copies}: {gone}");
            let length = distance(&moved, &zeros) / norm;
            assert!((1.0 - slack - 1e-5..=1.0 + slack).contains(&length), "{copies}: {length}");
            released(&world.options, (&whole, &part));
        }
    }
}

/// Of persons with 1 to 20 images, of whom a step shows 4 at most: whoever goes takes one clipped
/// mean with him, and where the others are does not change.
#[test]
fn a_person_moves_the_sum_by_one_clipped_mean_and_no_other_bit() {
    let mut owners = Vec::new();
    for person in 0..2 * SLOTS / 4 {
        owners.extend(vec![format!("{person:04}"); person % 20 + 1]);
    }
    let persons = Arc::new(Persons::new(&owners, 4).unwrap());
    let mut world = Coupling::new(1);
    world.data = alike(owners.len());
    world.options.persons = Some(Arc::clone(&persons));
    let everybody: Vec<usize> = (0..persons.len()).collect();
    let randomness = StepRandomness::new([2; 32]);
    let blocks = |batch: &[usize]| batches::person_blocks(batch, 2, &persons, &randomness, 3);
    let slots = blocks(&everybody);
    let whole = world.sums(&slots);
    assert!(whole.iter().all(|block| (block.examples, block.clipped) == (SLOTS / 4, SLOTS / 4)));
    // Of 1, of 3, of 4 and of 20 images.
    for gone in [0, 2, 3, 1019] {
        let name = format!("{gone:04}");
        let others = only(&slots, |_, _, example| owners[example] != name);
        let alone = only(&slots, |_, _, example| owners[example] == name);
        let shown = alone.iter().flatten().filter(|slot| slot.filled).count();
        assert_eq!(shown, (gone % 20 + 1).min(4));
        let part = world.sums(&others);
        assert!(whole[0] == part[0] || whole[1] == part[1], "the other block keeps every bit");
        let alone = world.sums(&alone);
        let [whole, part, alone] = [&whole, &part, &alone].map(|sums| flat_sum(sums));
        let moved = difference(&whole, &part);
        let zeros = vec![0.0; moved.len()];
        let norm = f64::from(NORM);
        let slack = maker(&options(2)).mechanism.unwrap().spec().slack;
        assert!(distance(&alone, &zeros) <= norm, "{gone}");
        let length = distance(&moved, &zeros) / norm;
        let slack = 4.0 * slack;
        assert!((1.0 - slack - 1e-5..=1.0 + slack).contains(&length), "{gone}: {length}");
    }
}

/// Released by the same noise the sums differ by whole units of the grid, within the sensitivity
/// that noise is scaled to; and so does the update that leaves.
fn released(options: &TrainingOptions, (whole, part): (&[f64], &[f64])) {
    let maker = maker(options);
    let mechanism = maker.mechanism.unwrap();
    let spec = *mechanism.spec();
    let rounding = (spec.dimension as f64).sqrt() * mechanism.grid();
    let most = spec.clipping_norm * (1.0 + spec.slack) + rounding;
    let noise = || StepRandomness::new([9; 32]).of(Purpose::Noise, 3);
    let release = |sum: &[f64]| -> Vec<f64> {
        let released = mechanism.release(sum, &mut noise()).unwrap().into_vec();
        released.into_iter().map(f64::from).collect()
    };
    let (with, without) = (release(whole), release(part));
    assert!(with.iter().chain(&without).all(|value| (value / mechanism.grid()).fract() == 0.0));
    let moved = distance(&with, &without);
    assert!(moved <= most && moved > most * 0.99, "{moved} of {most}");

    let divisor = maker.expected_batch.unwrap();
    let update = |sum: &[f64]| -> Vec<f64> {
        let (weights, biases_sum) = sum.split_at(spec.dimension - 12);
        let (first, second) = weights.split_at(maker.weights[0]);
        let block = BlockGradient {
            weights: vec![first.to_vec(), second.to_vec()],
            biases: vec![biases_sum[..2].to_vec(), biases_sum[2..].to_vec()],
            examples: 1,
            clipped: 0,
        };
        let update = maker.make(&[block], &mut noise()).unwrap();
        update.gradient.concat().into_iter().map(f64::from).collect()
    };
    let moved = distance(&update(whole), &update(part)) * divisor;
    assert!(moved <= most * (1.0 + 1e-6), "{moved} of {most}");
}
