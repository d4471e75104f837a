//! Gradients averaged over copies before clipping, against the plain mean of gradients of single
//! slots.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::num::NonZeroUsize;

use proptest::prelude::*;
use sphinx_gradient::{BlockGradient, BlockPass, Clipping, PassError, Tensor};
use sphinx_network::{LayerSpec, Shape};
use support::{Case, SLOTS, case, cases, flat, norm, only, run};

fn copies(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// The same label for all copies of an example; examples 2 and 5 are padding.
fn labels(case: &Case, count: usize) -> Vec<Option<u8>> {
    let examples = SLOTS / count;
    let of_example = |example: usize| {
        let class = (example * 7 % case.plan.classes) as u8;
        (example != 2 && example != 5).then_some(class)
    };
    (0..SLOTS).map(|slot| of_example(slot % examples)).collect()
}

/// A case whose slots are copies of examples.
fn in_copies(mut case: Case, count: usize) -> Case {
    case.labels = labels(&case, count);
    case
}

/// The gradient of the loss in one slot, unclipped.
fn slot_gradient(case: &Case, slot: usize) -> Vec<f64> {
    let gradient = run(case, &only(case, slot)).clipped_gradient(Clipping::None).unwrap();
    flat(&gradient.weights, &gradient.biases)
}

/// The mean over the copies of an example.
fn naive_mean(case: &Case, count: usize, example: usize) -> Vec<f64> {
    let mut mean = Vec::new();
    for copy in 0..count {
        let own = slot_gradient(case, copy * (SLOTS / count) + example);
        mean.resize(own.len(), 0.0);
        mean.iter_mut().zip(&own).for_each(|(mean, value)| *mean += value / count as f64);
    }
    mean
}

fn flat_gradient(gradient: &BlockGradient) -> Vec<f64> {
    flat(&gradient.weights, &gradient.biases)
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

#[test]
fn the_sum_is_that_of_means_clipped_one_by_one() {
    for case in cases() {
        let case = in_copies(case, 3);
        let examples = SLOTS / 3;
        let real: Vec<usize> = (0..examples).filter(|&e| case.labels[e].is_some()).collect();
        let means: Vec<Vec<f64>> =
            real.iter().map(|&example| naive_mean(&case, 3, example)).collect();
        let mut norms: Vec<f64> = means.iter().map(|mean| norm(mean)).collect();
        norms.sort_by(f64::total_cmp);
        // About half of them exceed it.
        let limit = norms[norms.len() / 2] * 0.999;
        let mut expected = vec![0.0; means[0].len()];
        let mut clipped = 0;
        for mean in &means {
            let factor = (limit / norm(mean)).min(1.0);
            clipped += usize::from(factor < 1.0);
            expected.iter_mut().zip(mean).for_each(|(sum, value)| *sum += factor * value);
        }
        assert!(clipped > 0 && clipped < real.len());
        let pass = run(&case, &case.labels);
        let got = pass.clipped_mean_gradient(copies(3), Clipping::Flat(limit as f32)).unwrap();
        assert_eq!((got.examples, got.clipped), (real.len(), clipped), "{}", case.name);
        let error = difference(&flat_gradient(&got), &expected);
        assert!(error < 5e-5 * norm(&expected), "{}: {error}", case.name);

        // Without clipping: the sum of the means.
        let plain = pass.clipped_mean_gradient(copies(3), Clipping::None).unwrap();
        let mut expected = vec![0.0; expected.len()];
        for mean in &means {
            expected.iter_mut().zip(mean).for_each(|(sum, value)| *sum += value);
        }
        let error = difference(&flat_gradient(&plain), &expected);
        assert!(error < 1e-5 * norm(&expected) && plain.clipped == 0, "{}: {error}", case.name);
    }
}

/// Copies that are equal count as one example of the same size.
#[test]
fn equal_copies_change_nothing() {
    for case in cases() {
        let mut case = in_copies(case, 3);
        let examples = SLOTS / 3;
        let mut images = case.images.clone();
        for row in images.rows_mut() {
            let (first, rest) = row.split_at_mut(examples);
            rest.chunks_mut(examples).for_each(|copy| copy.copy_from_slice(first));
        }
        case.images = images;
        let mut once = case.labels.clone();
        once[examples..].fill(None);
        let clipping = Clipping::Flat(0.05);
        let expected = run(&case, &once).clipped_gradient(clipping).unwrap();
        let pass = run(&case, &case.labels);
        let got = pass.clipped_mean_gradient(copies(3), clipping).unwrap();
        assert_eq!((got.examples, got.clipped), (expected.examples, expected.clipped));
        let (got, expected) = (flat_gradient(&got), flat_gradient(&expected));
        assert!(difference(&got, &expected) < 2e-5 * norm(&expected), "{}", case.name);
    }
}

/// One example in 3 copies with given pixels, through a convolution and two dense layers.
fn one_example(pixels: &[f32]) -> (Case, BlockPass) {
    let conv = LayerSpec::Conv {
        out_channels: 2,
        kernel: 3,
        stride: 1,
        padding: 0,
        filters: sphinx_network::Filters::Random,
    };
    let dense = |outputs| LayerSpec::Dense { outputs };
    let layers = vec![conv, LayerSpec::Tanh, dense(6), LayerSpec::Tanh, dense(4)];
    let mut case = case("one", Shape::new(1, 5, 5), layers);
    let examples = SLOTS / 3;
    let mut images = Tensor::zeros(25, SLOTS).unwrap();
    for (row, values) in images.rows_mut().enumerate() {
        (0..3).for_each(|copy| values[copy * examples] = pixels[copy * 25 + row]);
    }
    case.images = images;
    case.labels = (0..SLOTS).map(|slot| (slot % examples == 0).then_some(1)).collect();
    let pass = run(&case, &case.labels);
    (case, pass)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Never more than the clipping norm, and hardly less where it binds.
    #[test]
    fn an_example_in_copies_adds_at_most_the_clipping_norm(
        pixels in prop::collection::vec(0.0f32..=1.0, 75),
        exponent in -6.0f32..1.0,
    ) {
        let limit = 10f32.powf(exponent);
        let (case, pass) = one_example(&pixels);
        let got = pass.clipped_mean_gradient(copies(3), Clipping::Flat(limit)).unwrap();
        let length = norm(&flat_gradient(&got));
        prop_assert!(length <= f64::from(limit), "{length} {limit}");
        let mean = norm(&naive_mean(&case, 3, 0));
        prop_assert!(length > f64::from(limit).min(mean) * (1.0 - 1e-4), "{length} {mean} {limit}");
    }
}

#[test]
fn rejects_copies_that_the_block_cannot_hold() {
    let case = &cases()[0];
    let pass = run(case, &case.labels);
    for count in [2, 5, 6, 48, 96] {
        let refused = pass.clipped_mean_gradient(copies(count), Clipping::None);
        assert_eq!(refused, Err(PassError::Copies { copies: count, slots: SLOTS }));
    }
}

#[test]
fn rejects_copies_with_different_labels() {
    let mut case = in_copies(cases().remove(0), 3);
    case.labels[SLOTS / 3 + 4] = None;
    let pass = run(&case, &case.labels);
    let refused = pass.clipped_mean_gradient(copies(3), Clipping::Flat(1.0));
    assert_eq!(refused, Err(PassError::CopyLabels { example: 4 }));
}

/// Persons with one to three images of any class; person 2 has none, the others' blanks lie
/// anywhere.
#[test]
fn a_person_adds_the_clipped_mean_of_the_images_that_are_shown() {
    for mut case in cases() {
        let persons = SLOTS / 3;
        let classes = case.plan.classes;
        let shown = |slot: usize| {
            let (person, k) = (slot % persons, slot / persons);
            person != 2 && (k == person % 3 || (person + k).is_multiple_of(2))
        };
        case.labels = (0..SLOTS).map(|s| shown(s).then_some((s * 5 % classes) as u8)).collect();
        let mean = |person: usize| {
            let slots: Vec<usize> =
                (0..3).map(|k| k * persons + person).filter(|&slot| shown(slot)).collect();
            let mut mean = Vec::new();
            for &slot in &slots {
                let own = slot_gradient(&case, slot);
                mean.resize(own.len(), 0.0);
                let part = own.iter().map(|value| value / slots.len() as f64);
                mean.iter_mut().zip(part).for_each(|(mean, value)| *mean += value);
            }
            mean
        };
        let means: Vec<Vec<f64>> = (0..persons).filter(|&p| p != 2).map(mean).collect();
        let mut norms: Vec<f64> = means.iter().map(|mean| norm(mean)).collect();
        norms.sort_by(f64::total_cmp);
        let limit = norms[norms.len() / 2] * 0.999;
        let mut expected = vec![0.0; means[0].len()];
        for mean in &means {
            let factor = (limit / norm(mean)).min(1.0);
            expected.iter_mut().zip(mean).for_each(|(sum, value)| *sum += factor * value);
        }
        let pass = run(&case, &case.labels);
        let got = pass.clipped_group_gradient(copies(3), Clipping::Flat(limit as f32)).unwrap();
        assert_eq!(got.examples, persons - 1, "{}", case.name);
        assert!(got.clipped > 0 && got.clipped < means.len());
        let error = difference(&flat_gradient(&got), &expected);
        assert!(error < 5e-5 * norm(&expected), "{}: {error}", case.name);
    }
}
