use super::{sigmoid, tanh};

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
