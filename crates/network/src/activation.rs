//! The non-linearities, evaluated by the client on decrypted values.

use crate::spec::LayerSpec;

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
    /// Hyperbolic tangent rounded to `levels` values `(2i + 1 - levels) / (levels - 1)`, evenly spaced from -1 to 1.
    ///
    /// Value `i` stands for the `i`-th of `levels` equal parts of tanh's range. Its derivative is that of tanh in the
    /// middle of the part: the straight-through gradient (Bengio, Léonard & Courville 2013), which is positive everywhere.
    QuantisedTanh {
        /// Number of values, 2 to [`MAX_LEVELS`].
        levels: u32,
    },
}

impl Activation {
    /// The largest absolute value that [`Activation::apply`] returns.
    pub fn bound(self) -> f32 {
        match self {
            Self::Tanh | Self::Sigmoid | Self::QuantisedTanh { .. } => 1.0,
            Self::Relu { cap } => cap,
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

    /// The derivative at the point where the non-linearity took the value `output`.
    ///
    /// A training client keeps the output for the next weight gradient anyway, and needs not keep `z`.
    pub fn derivative_at_output(self, output: f32) -> f32 {
        match self {
            Self::Tanh => 1.0 - output * output,
            Self::Sigmoid => output * (1.0 - output),
            Self::Relu { cap } => f32::from(u8::from(output > 0.0 && output < cap)),
            Self::QuantisedTanh { levels } => {
                let middle = output * (levels as f32 - 1.0) / levels as f32;
                1.0 - middle * middle
            }
        }
    }
}

/// The value of [`Activation::QuantisedTanh`] that stands for `tanh`, which lies in `[-1, 1]`; NaN stays NaN.
#[inline(always)]
pub fn quantised(tanh: f32, levels: u32) -> f32 {
    let levels = levels as f32;
    let part = ((tanh + 1.0) * 0.5 * levels).floor();
    let part = if part > levels - 1.0 { levels - 1.0 } else { part };
    (2.0 * part + 1.0 - levels) / (levels - 1.0)
}

impl LayerSpec {
    /// The non-linearity of an activation layer.
    pub fn activation(&self) -> Option<Activation> {
        match *self {
            Self::Tanh => Some(Activation::Tanh),
            Self::Sigmoid => Some(Activation::Sigmoid),
            Self::Relu { cap } => Some(Activation::Relu { cap }),
            Self::QuantisedTanh { levels } => Some(Activation::QuantisedTanh { levels }),
            Self::Conv { .. }
            | Self::Dense { .. }
            | Self::AvgPool { .. }
            | Self::MaxPool { .. }
            | Self::Deskew
            | Self::Normalise { .. }
            | Self::Scatter { .. }
            | Self::Flatten => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, MAX_LEVELS};

    const ALL: [Activation; 3] =
        [Activation::Tanh, Activation::Sigmoid, Activation::Relu { cap: 2.5 }];

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
                let derivative = activation.derivative_at_output(*value);
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
                let exact = activation.derivative_at_output(activation.apply(z));
                assert!((quotient - exact).abs() < 1e-3, "{activation:?} at {z}");
            }
        }
    }
}
