//! Forward pass, backward pass and per-example gradients against difference quotients in `f64`.

mod support;

use sphinx_gradient::Clipping;
use support::{SLOTS, cases, flat, flat_parameters, norm, only, reference, run};

const STEP: f64 = 1e-6;

#[test]
fn gradient_of_each_example_is_the_derivative_of_its_loss() {
    for case in cases() {
        let parameters = flat_parameters(&case);
        for slot in [0, 17, SLOTS - 11] {
            let label = case.labels[slot].unwrap();
            let pass = run(&case, &only(&case, slot));
            let gradient = pass.clipped_gradient(Clipping::None).unwrap();
            let got = flat(&gradient.weights, &gradient.biases);
            assert_eq!(got.len(), parameters.len());

            let loss_at = |index: usize, change: f64| {
                let mut moved = parameters.clone();
                moved[index] += change;
                reference(&case, &moved, slot, label).0
            };
            let expected: Vec<f64> = (0..parameters.len())
                .map(|i| (loss_at(i, STEP) - loss_at(i, -STEP)) / (2.0 * STEP))
                .collect();
            let error: Vec<f64> = got.iter().zip(&expected).map(|(a, b)| a - b).collect();
            let relative = norm(&error) / norm(&expected);
            assert!(norm(&expected) > 1e-3, "{}: the test sees no gradient", case.name);
            assert!(relative < 1e-5, "{} slot {slot}: relative error {relative:e}", case.name);
        }
    }
}

#[test]
fn loss_and_hits_are_those_of_the_reference() {
    for case in cases() {
        let parameters = flat_parameters(&case);
        let (mut loss, mut correct, mut examples) = (0.0, 0, 0);
        for (slot, label) in case.labels.iter().enumerate() {
            let Some(label) = *label else { continue };
            let (example_loss, best) = reference(&case, &parameters, slot, label);
            loss += example_loss;
            correct += usize::from(best == usize::from(label));
            examples += 1;
        }
        let block = run(&case, &case.labels).loss().unwrap();
        assert_eq!((block.examples, block.correct), (examples, correct), "{}", case.name);
        assert!((block.loss_sum - loss).abs() < 1e-5 * loss, "{}", case.name);
    }
}
