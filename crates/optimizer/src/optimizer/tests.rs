use super::*;

const PLAIN: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.0, nesterov: false };
const MOMENTUM: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.5, nesterov: false };
const NESTEROV: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.5, nesterov: true };

fn rate(spec: OptimizerSpec, step: u64) -> StepRates {
    spec.rates(0.1, step + 1)
}

/// Weights after each gradient, starting from 1 with learning rate ½.
fn trace(spec: OptimizerSpec, gradients: &[f32]) -> Vec<f32> {
    let mut optimizer = Optimizer::new(spec, 1).unwrap();
    let mut weights = [1.0];
    let step = |&gradient: &f32| {
        let rates = spec.rates(0.5, optimizer.state().steps + 1);
        optimizer.apply(&mut weights, &[gradient], &rates).unwrap();
        weights[0]
    };
    gradients.iter().map(step).collect()
}

#[test]
fn sgd_follows_hand_computed_sequences() {
    // Powers of two throughout: exact in f32.
    assert_eq!(trace(PLAIN, &[1.0, -2.0, 0.5]), [0.5, 1.5, 1.25]);
    // v = 1, −1.5, −0.25.
    assert_eq!(trace(MOMENTUM, &[1.0, -2.0, 0.5]), [0.5, 1.25, 1.375]);
    // Directions g + v/2 = 1.5, −2.75, 0.375.
    assert_eq!(trace(NESTEROV, &[1.0, -2.0, 0.5]), [0.25, 1.625, 1.4375]);
}

#[test]
fn adam_corrects_its_bias() {
    // First step: m̂ = g and v̂ = g², so the step is the learning rate, whatever the gradient's
    // size.
    for gradient in [1e-3, 1.0, 1e4] {
        let weight = trace(OptimizerSpec::ADAM, &[gradient])[0];
        assert!((weight - 0.5).abs() < 1e-4, "{gradient}: {weight}");
    }
    // A constant gradient keeps m̂ = g and v̂ = g².
    for (step, weight) in trace(OptimizerSpec::ADAM, &[3.0; 50]).into_iter().enumerate() {
        let expected = 1.0 - 0.5 * (step + 1) as f32;
        assert!((weight - expected).abs() < 1e-3, "step {step}: {weight}");
    }
}

#[test]
fn adam_follows_a_hand_computed_sequence() {
    let spec = OptimizerSpec::Adam { beta1: 0.5, beta2: 0.75, epsilon: 1.0 };
    // g = 2: m = 1, v = 1, m̂ = 2, v̂ = 4, w = 1 − ½·2/3. g = −1: m = 0, v = 1: m̂ = 0, w stays. g
    // = 4: m = 2, v = 4.75, m̂ = 2/0.875, v̂ = 4.75/0.578125.
    let third = 2.0 / 3.0 - 0.5 * (2.0 / 0.875) / ((4.75f32 / 0.578_125).sqrt() + 1.0);
    for (got, expected) in
        trace(spec, &[2.0, -1.0, 4.0]).into_iter().zip([2.0 / 3.0, 2.0 / 3.0, third])
    {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
}

#[test]
fn a_stored_state_goes_on_bit_for_bit() {
    for spec in [PLAIN, MOMENTUM, NESTEROV, OptimizerSpec::ADAM] {
        // Made once: sines and powers may differ between two places of one program.
        let gradient = |step: u32| (0..37).map(|i| ((i * 7 + step) as f32).sin()).collect();
        let steps: Vec<(Vec<f32>, StepRates)> =
            (0..10).map(|step| (gradient(step), rate(spec, u64::from(step)))).collect();
        let mut whole = Optimizer::new(spec, 37).unwrap();
        let mut weights = vec![0.25; 37];
        let mut copy = None;
        for (step, (gradient, rates)) in steps.iter().enumerate() {
            if step == 5 {
                let stored = serde_json::to_string(whole.state()).unwrap();
                copy = Some((stored, weights.clone()));
            }
            whole.apply(&mut weights, gradient, rates).unwrap();
        }
        let (stored, mut resumed) = copy.unwrap();
        let state = serde_json::from_str(&stored).unwrap();
        let mut part = Optimizer::restore(spec, 37, state).unwrap();
        for (gradient, rates) in &steps[5..] {
            part.apply(&mut resumed, gradient, rates).unwrap();
        }
        assert_eq!(resumed, weights);
        assert_eq!(part, whole);
    }
}

#[test]
fn specs_survive_being_stored() {
    for spec in [NESTEROV, OptimizerSpec::ADAM] {
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<OptimizerSpec>(&text).unwrap(), spec);
    }
}

#[test]
fn rejects_gradients_that_are_not_finite_and_changes_nothing() {
    for spec in [PLAIN, NESTEROV, OptimizerSpec::ADAM] {
        let mut optimizer = Optimizer::new(spec, 3).unwrap();
        let mut weights = [1.0, 2.0, 3.0];
        optimizer.apply(&mut weights, &[1.0, 1.0, 1.0], &spec.rates(0.1, 1)).unwrap();
        let (before, state) = (weights, optimizer.state().clone());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error =
                optimizer.apply(&mut weights, &[1.0, 1.0, bad], &spec.rates(0.1, 2)).unwrap_err();
            assert_eq!(error, OptimizerError::NonFiniteGradient { index: 2 });
        }
        let huge =
            optimizer.apply(&mut weights, &[0.0, f32::MAX, 0.0], &spec.rates(10.0, 2)).unwrap_err();
        assert_eq!(huge, OptimizerError::Diverged { index: 1 });
        assert_eq!((weights, optimizer.state()), (before, &state));
    }
}

#[test]
fn rejects_lengths_that_do_not_match() {
    let mut optimizer = Optimizer::new(MOMENTUM, 3).unwrap();
    let error = optimizer.apply(&mut [0.0; 2], &[0.0; 3], &MOMENTUM.rates(0.1, 1)).unwrap_err();
    assert_eq!(error, OptimizerError::Length { what: "weights", got: 2, expected: 3 });
    let error = optimizer.apply(&mut [0.0; 3], &[0.0; 4], &MOMENTUM.rates(0.1, 1)).unwrap_err();
    assert_eq!(error, OptimizerError::Length { what: "gradient", got: 4, expected: 3 });
}

#[test]
fn rejects_learning_rates_out_of_range() {
    let mut optimizer = Optimizer::new(PLAIN, 1).unwrap();
    for rate in [-0.1, f32::NAN, f32::INFINITY] {
        let error = optimizer.apply(&mut [0.0], &[0.0], &PLAIN.rates(rate, 1)).unwrap_err();
        assert!(matches!(error, OptimizerError::Parameter { parameter: "learning rate", .. }));
    }
}

#[test]
fn rejects_hyper_parameters_out_of_range() {
    let refused = |spec| Optimizer::new(spec, 1).unwrap_err();
    let momentum = refused(OptimizerSpec::Sgd { momentum: 1.0, nesterov: false });
    let range = "[0, 1)";
    assert_eq!(momentum, OptimizerError::Parameter { parameter: "momentum", got: 1.0, range });
    let nesterov = refused(OptimizerSpec::Sgd { momentum: 0.0, nesterov: true });
    assert_eq!(nesterov, OptimizerError::NesterovWithoutMomentum);
    let adam = |beta1, beta2, epsilon| refused(OptimizerSpec::Adam { beta1, beta2, epsilon });
    for (error, name) in [
        (adam(-0.1, 0.9, 1e-8), "beta1"),
        (adam(0.9, 1.0, 1e-8), "beta2"),
        (adam(0.9, 0.9, 0.0), "epsilon"),
        (adam(0.9, f32::NAN, 1e-8), "beta2"),
    ] {
        assert!(matches!(error, OptimizerError::Parameter { parameter, .. } if parameter == name));
    }
}

#[test]
fn rejects_states_of_another_optimiser() {
    let state = |first: &[f32], second: &[f32]| OptimizerState {
        steps: 1,
        first: first.to_vec(),
        second: second.to_vec(),
    };
    let restore = |spec, state| Optimizer::restore(spec, 2, state).unwrap_err();
    let length = |what, got, expected| OptimizerError::Length { what, got, expected };
    assert_eq!(restore(PLAIN, state(&[0.0; 2], &[])), length("first moment", 2, 0));
    assert_eq!(restore(MOMENTUM, state(&[0.0; 3], &[])), length("first moment", 3, 2));
    let adam = restore(OptimizerSpec::ADAM, state(&[0.0; 2], &[]));
    assert_eq!(adam, length("second moment", 0, 2));
    let nan = restore(MOMENTUM, state(&[0.0, f32::NAN], &[]));
    assert_eq!(nan, OptimizerError::NonFiniteState { what: "first moment", index: 1 });
}

#[test]
fn moments_do_not_show_in_debug_output() {
    let mut optimizer = Optimizer::new(MOMENTUM, 1).unwrap();
    optimizer.apply(&mut [1.0], &[0.7171], &MOMENTUM.rates(0.5, 1)).unwrap();
    let shown = format!("{optimizer:?}");
    assert!(!shown.contains("717") && shown.contains("1 steps, moments of 1 and 0"), "{shown}");
}

#[test]
fn rejects_corrections_that_are_none() {
    let mut optimizer = Optimizer::new(OptimizerSpec::ADAM, 1).unwrap();
    for bad in [0.5, f32::NAN, f32::INFINITY, -1.0] {
        for rates in [
            StepRates { first_correction: bad, ..OptimizerSpec::ADAM.rates(0.1, 1) },
            StepRates { second_correction: bad, ..OptimizerSpec::ADAM.rates(0.1, 1) },
        ] {
            let error = optimizer.apply(&mut [0.0], &[0.0], &rates).unwrap_err();
            assert!(matches!(error, OptimizerError::Parameter { .. }), "{error}");
        }
    }
}
