use sphinx_network::Activation;

use super::{activate, scale_by_derivative, sigmoid, tanh};
use crate::tensor::Tensor;

const BOUND: f64 = 5e-7;

/// The reals from -12 to 12 in steps of 1e-5, and every power of two.
fn grid() -> impl Iterator<Item = f32> {
    let powers = (-149..=127).map(|exponent| (f64::from(exponent)).exp2() as f32);
    (-1_200_000..=1_200_000)
        .map(|step| (f64::from(step) * 1e-5) as f32)
        .chain(powers.flat_map(|x| [x, -x]))
}

#[test]
fn tanh_is_accurate_odd_and_bounded() {
    for x in grid() {
        let error = (f64::from(tanh(x)) - libm::tanh(f64::from(x))).abs();
        assert!(error <= BOUND, "tanh({x}) is off by {error:e}");
        assert!(tanh(x).abs() <= 1.0);
        assert_eq!(tanh(x), -tanh(-x));
    }
}

#[test]
fn sigmoid_is_accurate_and_bounded() {
    for x in grid().map(|x| x * 2.0) {
        let error = (f64::from(sigmoid(x)) - 1.0 / (1.0 + libm::exp(-f64::from(x)))).abs();
        assert!(error <= BOUND, "sigmoid({x}) is off by {error:e}");
        assert!((0.0..=1.0).contains(&sigmoid(x)));
    }
}

#[test]
fn extremes_saturate_and_nan_stays() {
    assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
    assert_eq!((tanh(f32::MAX), tanh(f32::MIN)), (1.0, -1.0));
    assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
    assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
}

#[test]
fn tensors_agree_with_the_reference_of_the_network() {
    let relu = Activation::Relu { cap: 1.5 };
    let quantised = Activation::QuantisedTanh { levels: 6 };
    for activation in [Activation::Tanh, Activation::Sigmoid, relu, quantised] {
        let z: Vec<f32> = (0..3 * 16).map(|i| (i as f32 - 24.0) * 0.13).collect();
        let mut outputs = Tensor::new(3, 16, z.clone()).unwrap();
        activate(activation, &mut outputs);
        let mut delta = Tensor::new(3, 16, vec![2.0; 48]).unwrap();
        scale_by_derivative(activation, &outputs, &mut delta);
        for ((z, a), delta) in z.iter().zip(outputs.as_slice()).zip(delta.as_slice()) {
            assert!((a - activation.apply(*z)).abs() < 1e-6);
            assert!((delta - 2.0 * activation.derivative_at_output(*a)).abs() < 1e-6);
        }
    }
}

#[test]
fn vectorised_values_are_those_of_the_scalar_function() {
    let z: Vec<f32> = (0..64 * 16).map(|i| (i as f32 - 512.0) * 0.019).collect();
    let mut outputs = Tensor::new(64, 16, z.clone()).unwrap();
    activate(Activation::Tanh, &mut outputs);
    for (z, a) in z.iter().zip(outputs.as_slice()) {
        assert_eq!(a.to_bits(), tanh(*z).to_bits());
    }
}
