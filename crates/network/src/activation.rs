//! The non-linearities, evaluated by the client on decrypted values.

use crate::spec::LayerSpec;

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
}

impl Activation {
    /// The largest absolute value that [`Activation::apply`] returns.
    pub fn bound(self) -> f32 {
        match self {
            Self::Tanh | Self::Sigmoid => 1.0,
            Self::Relu { cap } => cap,
        }
    }

    /// The non-linearity at `z`, by software (`libm`) so that every machine computes the same bits.
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Self::Tanh => libm::tanhf(z),
            Self::Sigmoid => 1.0 / (1.0 + libm::expf(-z)),
            Self::Relu { cap } => z.clamp(0.0, cap),
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
        }
    }
}

impl LayerSpec {
    /// The non-linearity of an activation layer.
    pub fn activation(&self) -> Option<Activation> {
        match *self {
            Self::Tanh => Some(Activation::Tanh),
            Self::Sigmoid => Some(Activation::Sigmoid),
            Self::Relu { cap } => Some(Activation::Relu { cap }),
            Self::Conv { .. }
            | Self::Dense { .. }
            | Self::AvgPool { .. }
            | Self::MaxPool { .. }
            | Self::Flatten => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation;

    const ALL: [Activation; 3] =
        [Activation::Tanh, Activation::Sigmoid, Activation::Relu { cap: 2.5 }];

    #[test]
    fn outputs_stay_within_the_bound() {
        for activation in ALL {
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
