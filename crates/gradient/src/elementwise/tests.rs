use sphinx_network::{Activation, tanh};

use super::{activate, differentiate, scale_by_derivative};
use crate::tensor::Tensor;

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
            let mut derivative = [*a];
            differentiate(Some(activation), &mut derivative);
            assert_eq!(*delta, 2.0 * derivative[0]);
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
