//! The non-linearities: everything that a kind of activation has to say of itself.

mod fast;

pub use fast::{sigmoid, tanh};

use fast::clamp;

/// Most values of a quantised activation; more would be finer than the noise of a bootstrapping.
pub const MAX_LEVELS: u32 = 256;

/// A bounded non-linearity, applied to every scalar of a feature map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function `1 / (1 + e^-z)`.
    Sigmoid,
    /// `min(max(z, 0), cap)`. The cap is what bounds the encoding of the next stage's input.
    Relu {
        /// Largest output.
        cap: f32,
    },
    /// Hyperbolic tangent rounded to `levels` values `(2i + 1 - levels) / (levels - 1)`, evenly
    /// spaced from -1 to 1.
    ///
    /// Value `i` stands for the `i`-th of `levels` equal parts of tanh's range. Its derivative is
    /// that of tanh in the middle of the part: the straight-through gradient (Bengio, Léonard &
    /// Courville 2013), which is positive everywhere.
    QuantisedTanh {
        /// Number of values, 2 to [`MAX_LEVELS`].
        levels: u32,
    },
}

/// Does something with a function of one real number, e.g. applies it to a whole slice.
///
/// An [`Activation`] hands its functions to a visitor, so that the choice between the kinds is made
/// once and outside of the loop, which can then be vectorised.
pub trait FunctionVisitor {
    /// Takes the function.
    fn visit(self, function: impl Fn(f32) -> f32);
}

impl Activation {
    /// The largest absolute value that [`Activation::apply`] returns.
    pub fn bound(self) -> f32 {
        match self {
            Self::Tanh | Self::Sigmoid | Self::QuantisedTanh { .. } => 1.0,
            Self::Relu { cap } => cap,
        }
    }

    /// The gain of initial weights before it, which keeps the variance of activations from layer to
    /// layer: √2 for a ReLU (He et al. 2015), 5/3 for tanh.
    pub fn gain(self) -> f32 {
        match self {
            Self::Relu { .. } => f32::sqrt(2.0),
            Self::Tanh | Self::QuantisedTanh { .. } => 5.0 / 3.0,
            Self::Sigmoid => 1.0,
        }
    }

    /// The point (c, o) that it is odd about: f(c + t) - o = -(f(c - t) - o). In units of the
    /// pre-activation, and of the activation.
    pub fn centre(self) -> (f64, f64) {
        match self {
            Self::Tanh | Self::QuantisedTanh { .. } => (0.0, 0.0),
            Self::Sigmoid => (0.0, 0.5),
            Self::Relu { cap } => (f64::from(cap) / 2.0, f64::from(cap) / 2.0),
        }
    }

    /// How far from its centre it is not yet saturated (to a thousandth of its range), in units of
    /// the pre-activation.
    pub fn slope(self) -> f64 {
        match self {
            Self::Tanh => 3.5,
            Self::Sigmoid => 7.0,
            Self::Relu { cap } => f64::from(cap) / 2.0,
            // Its outermost threshold.
            Self::QuantisedTanh { levels } => (1.0 - 2.0 / f64::from(levels)).atanh(),
        }
    }

    /// The non-linearity at `z`, by software (`libm`) so that every machine computes the same bits.
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Self::Tanh => libm::tanhf(z),
            Self::Sigmoid => 1.0 / (1.0 + libm::expf(-z)),
            Self::Relu { cap } => z.clamp(0.0, cap),
            Self::QuantisedTanh { levels } => quantised(libm::tanhf(z), levels),
        }
    }

    /// Hands the non-linearity over in the form that vectorises; it differs from
    /// [`Activation::apply`] by at most 5e-7, and by a step of a quantised one at its thresholds.
    pub fn visit_function(self, visitor: impl FunctionVisitor) {
        match self {
            Self::Tanh => visitor.visit(tanh),
            Self::Sigmoid => visitor.visit(sigmoid),
            Self::Relu { cap } => visitor.visit(|z| clamp(z, 0.0, cap)),
            Self::QuantisedTanh { levels } => visitor.visit(|z| quantised(tanh(z), levels)),
        }
    }

    /// Hands over the derivative, as a function of the value that the non-linearity took: a
    /// training client keeps the output for the next weight gradient anyway, and needs not keep
    /// `z`.
    pub fn visit_derivative(self, visitor: impl FunctionVisitor) {
        match self {
            Self::Tanh => visitor.visit(tanh_derivative),
            Self::Sigmoid => visitor.visit(|output| output * (1.0 - output)),
            Self::Relu { cap } => {
                visitor.visit(|output| if output > 0.0 && output < cap { 1.0 } else { 0.0 });
            }
            Self::QuantisedTanh { levels } => {
                // From a value to the middle of the part of tanh's range that it stands for.
                let middle = (levels as f32 - 1.0) / levels as f32;
                visitor.visit(|output| tanh_derivative(output * middle));
            }
        }
    }
}

#[inline(always)]
fn tanh_derivative(output: f32) -> f32 {
    1.0 - output * output
}

/// The value of [`Activation::QuantisedTanh`] that stands for `tanh`, which lies in `[-1, 1]`; NaN
/// stays NaN.
#[inline(always)]
fn quantised(tanh: f32, levels: u32) -> f32 {
    let levels = levels as f32;
    let part = ((tanh + 1.0) * 0.5 * levels).floor();
    let part = if part > levels - 1.0 { levels - 1.0 } else { part };
    (2.0 * part + 1.0 - levels) / (levels - 1.0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const ALL: [Activation; 3] =
        [Activation::Tanh, Activation::Sigmoid, Activation::Relu { cap: 2.5 }];

    /// Evaluates a function at one point.
    struct At<'a> {
        point: f32,
        value: &'a Cell<f32>,
    }

    impl FunctionVisitor for At<'_> {
        fn visit(self, function: impl Fn(f32) -> f32) {
            self.value.set(function(self.point));
        }
    }

    fn derivative(activation: Activation, output: f32) -> f32 {
        let value = Cell::new(f32::NAN);
        activation.visit_derivative(At { point: output, value: &value });
        value.get()
    }

    #[test]
    fn quantised_tanh_takes_evenly_spaced_values_close_to_tanh() {
        for levels in [2, 3, 4, 7, 8, 16, MAX_LEVELS] {
            let activation = Activation::QuantisedTanh { levels };
            let mut values: Vec<f32> =
                (-9000..=9000).map(|step| activation.apply(step as f32 * 1e-3)).collect();
            assert!(values.is_sorted(), "{levels}");
            for (step, value) in (-9000..=9000).zip(&values) {
                let tanh = (step as f32 * 1e-3).tanh();
                let middle = value * (levels as f32 - 1.0) / levels as f32;
                assert!((middle - tanh).abs() <= 1.0 / levels as f32 + 1e-6, "{levels} at {step}");
                let derivative = derivative(activation, *value);
                assert!((derivative - (1.0 - middle * middle)).abs() < 1e-6 && derivative > 0.0);
            }
            values.dedup();
            let gap = 2.0 / (levels - 1) as f32;
            assert_eq!((values.len(), values[0]), (levels as usize, -1.0));
            assert!(values.windows(2).all(|pair| (pair[1] - pair[0] - gap).abs() < 1e-6));
        }
        assert!(Activation::QuantisedTanh { levels: 8 }.apply(f32::NAN).is_nan());
    }

    #[test]
    fn outputs_stay_within_the_bound() {
        for activation in ALL.into_iter().chain([Activation::QuantisedTanh { levels: 8 }]) {
            for z in [f32::NEG_INFINITY, -1e9, -1.0, 0.0, 1e-20, 2.5, 88.8, 1e9, f32::INFINITY] {
                assert!(activation.apply(z).abs() <= activation.bound(), "{activation:?} at {z}");
            }
        }
    }

    #[test]
    fn derivative_agrees_with_a_difference_quotient() {
        for activation in ALL {
            for step in -40..40 {
                let z = step as f32 * 0.1 + 0.03;
                let h = 1e-2;
                let quotient = (activation.apply(z + h) - activation.apply(z - h)) / (2.0 * h);
                let exact = derivative(activation, activation.apply(z));
                assert!((quotient - exact).abs() < 1e-3, "{activation:?} at {z}");
            }
        }
    }
}
