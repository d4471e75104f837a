//! The clipped sum against examples clipped one by one.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use sphinx_gradient::{Clipping, PassError, Tensor};
use support::{Case, SLOTS, cases, flat, norm, only, run};

fn single_gradient(case: &Case, slot: usize, clipping: Clipping) -> Vec<f64> {
    let gradient = run(case, &only(case, slot)).clipped_gradient(clipping).unwrap();
    flat(&gradient.weights, &gradient.biases)
}

/// A norm that about half of the examples exceed.
fn median_norm(case: &Case) -> f32 {
    let labelled = (0..SLOTS).filter(|&slot| case.labels[slot].is_some());
    let mut norms: Vec<f64> =
        labelled.map(|slot| norm(&single_gradient(case, slot, Clipping::None))).collect();
    norms.sort_by(f64::total_cmp);
    norms[norms.len() / 2] as f32 * 0.999
}

#[test]
fn sum_is_that_of_the_examples_clipped_one_by_one() {
    for case in cases() {
        let limit = median_norm(&case);
        let mut expected = Vec::new();
        let (mut examples, mut clipped) = (0, 0);
        for slot in (0..SLOTS).filter(|&slot| case.labels[slot].is_some()) {
            let raw = single_gradient(&case, slot, Clipping::None);
            let own = single_gradient(&case, slot, Clipping::Flat(limit));
            assert!(norm(&own) <= f64::from(limit), "{}: {}", case.name, norm(&own));
            let factor = (f64::from(limit) / norm(&raw)).min(1.0);
            for (own, raw) in own.iter().zip(&raw) {
                assert!((own - factor * raw).abs() < 2e-5 * f64::from(limit), "{}", case.name);
            }
            examples += 1;
            clipped += usize::from(factor < 1.0);
            expected.resize(own.len(), 0.0);
            expected.iter_mut().zip(&own).for_each(|(sum, value)| *sum += value);
        }
        let block = run(&case, &case.labels).clipped_gradient(Clipping::Flat(limit)).unwrap();
        assert_eq!((block.examples, block.clipped), (examples, clipped), "{}", case.name);
        assert!(clipped > 0 && clipped < examples);
        let got = flat(&block.weights, &block.biases);
        let error: Vec<f64> = got.iter().zip(&expected).map(|(a, b)| a - b).collect();
        assert!(norm(&error) < 1e-5 * norm(&expected), "{}", case.name);
    }
}

#[test]
fn padding_contributes_exactly_zero() {
    for mut case in cases() {
        let before = run(&case, &case.labels).clipped_gradient(Clipping::Flat(0.1)).unwrap();
        let none = run(&case, &[None; SLOTS]).clipped_gradient(Clipping::Flat(0.1)).unwrap();
        assert_eq!((none.examples, none.clipped), (0, 0));
        assert!(flat(&none.weights, &none.biases).iter().all(|&value| value == 0.0));

        let mut pixels = case.images.clone().into_vec();
        for (index, pixel) in pixels.iter_mut().enumerate() {
            if case.labels[index % SLOTS].is_none() {
                *pixel = 1.0 - *pixel;
            }
        }
        case.images = Tensor::new(case.images.rows(), SLOTS, pixels).unwrap();
        let after = run(&case, &case.labels).clipped_gradient(Clipping::Flat(0.1)).unwrap();
        assert_eq!(before, after, "{}", case.name);
    }
}

#[test]
fn weights_can_be_clipped_alone() {
    for case in cases() {
        let pass = run(&case, &case.labels);
        let [mixed, clipped, exact] = [Clipping::Weights(0.1), Clipping::Flat(0.1), Clipping::None]
            .map(|clipping| pass.clipped_gradient(clipping).unwrap());
        assert!(mixed.weights == clipped.weights && mixed.biases == exact.biases, "{}", case.name);
        assert_eq!((mixed.examples, mixed.clipped), (clipped.examples, clipped.clipped));
    }
}

#[test]
fn rejects_clipping_norms_that_bound_nothing() {
    let case = &cases()[0];
    let pass = run(case, &case.labels);
    for got in [0.0, -1.0, f32::INFINITY] {
        let refused = pass.clipped_gradient(Clipping::Flat(got));
        assert_eq!(refused, Err(PassError::ClippingNorm { got }));
        let refused = pass.clipped_gradient(Clipping::Weights(got));
        assert_eq!(refused, Err(PassError::ClippingNorm { got }));
    }
    assert!(pass.clipped_gradient(Clipping::Flat(f32::NAN)).is_err());
}
