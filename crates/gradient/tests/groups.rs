//! What one example touches of a block's sum: one group of slots, and no bit of any other.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::num::NonZeroUsize;

use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_gradient::{Clipping, Tensor};
use sphinx_network::{LayerSpec, Shape};
use support::{Case, case, flat, norm, run};

const SLOTS: usize = 512;
/// Slots between two of a group, and slots that the groups of a part lie in.
const LANES: usize = 16;
const PART: usize = 128;
const LIMIT: f32 = 0.05;

/// A convolution and two dense layers on images of one class, which hardly differ: sums are as
/// large as they can be, and their rounding with them.
fn alike(seed: u64) -> Case {
    let conv = LayerSpec::Conv {
        out_channels: 3,
        kernel: 3,
        stride: 1,
        padding: 0,
        filters: sphinx_network::Filters::Random,
    };
    let dense = |outputs| LayerSpec::Dense { outputs };
    let layers = vec![conv, LayerSpec::Tanh, dense(6), LayerSpec::Tanh, dense(4)];
    let mut case = case("alike", Shape::new(1, 6, 6), layers);
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let pixels = (0..36 * SLOTS).map(|at| (at / SLOTS) as f32 / 50.0 + rng.random_range(0.0..0.1));
    case.images = Tensor::new(36, SLOTS, pixels.collect()).unwrap();
    case.labels = vec![Some(1); SLOTS];
    case
}

/// The clipped sum of the slots whose example is among `filled`, `examples` of them per copy.
fn sum(case: &Case, examples: usize, filled: impl Fn(usize) -> bool) -> Vec<f64> {
    let labels: Vec<_> =
        (0..SLOTS).map(|slot| case.labels[slot].filter(|_| filled(slot % examples))).collect();
    let copies = NonZeroUsize::new(SLOTS / examples).unwrap();
    let gradient = run(case, &labels).clipped_mean_gradient(copies, Clipping::Flat(LIMIT)).unwrap();
    flat(&gradient.weights, &gradient.biases)
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Had one bit of another group changed, sums would differ by 2^-24 of its size.
    #[test]
    fn an_example_replaced_by_nothing_touches_its_own_group_alone(
        seed in 0u64..1000,
        copies in prop::sample::select(vec![1usize, 2, 4]),
        position in 0.0f64..1.0,
    ) {
        let (case, examples) = (alike(seed), SLOTS / copies);
        let gone = (position * examples as f64) as usize;
        let group = |other: usize| other / PART == gone / PART && other % LANES == gone % LANES;
        let whole = sum(&case, examples, |_| true);
        let moved = difference(&whole, &sum(&case, examples, |other| other != gone));
        let with = sum(&case, examples, group);
        let without = sum(&case, examples, |other| group(other) && other != gone);
        let own = difference(&with, &without);
        prop_assert!(norm(&difference(&moved, &own)) < 1e-12 * norm(&whole));
        // By at most the bound that sphinx-privacy proves, and it binds.
        let slack = copies as f64 * 160.0 / 16_777_216.0;
        let moved = norm(&moved) / f64::from(LIMIT);
        prop_assert!((1.0 - 1e-4..=1.0 + slack).contains(&moved), "{moved}");
        // What the example itself adds, alone in its group.
        let alone = sum(&case, examples, |other| other == gone);
        prop_assert!(norm(&alone) <= f64::from(LIMIT));
        prop_assert!(norm(&difference(&own, &alone)) < slack * f64::from(LIMIT));
    }

    /// Groups are of slots, not of threads.
    #[test]
    fn any_number_of_threads_gives_the_same_bits(seed in 0u64..1000, threads in 1usize..9) {
        let case = alike(seed);
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let one = pool(1).install(|| sum(&case, SLOTS, |slot| slot % 3 != 1));
        prop_assert_eq!(one, pool(threads).install(|| sum(&case, SLOTS, |slot| slot % 3 != 1)));
    }
}
