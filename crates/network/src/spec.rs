//! What a user writes: a stack of layers, in TOML or from the built-in list.

mod auto;
mod builtin;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumDiscriminants};

use crate::activation::Activation;

/// A network as declared, not yet checked; [`crate::Plan::new`] checks it.
///
/// ```
/// # fn main() -> Result<(), sphinx_network::SpecError> {
/// let spec = sphinx_network::NetworkSpec::from_toml(
///     r#"
///     name = "sigmoid-maxpool"
///     input = { channels = 1, height = 28, width = 28 }
///     [[layers]]
///     kind = "conv"
///     out_channels = 4
///     kernel = 5
///     [[layers]]
///     kind = "sigmoid"
///     [[layers]]
///     kind = "max_pool"
///     size = 2
///     [[layers]]
///     kind = "dense"
///     outputs = 10
///     "#,
/// )?;
/// assert_eq!(sphinx_network::Plan::new(&spec)?.classes, 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// What the network is called.
    pub name: String,
    /// Biases are projected to `[-bias_bound, bias_bound]`, so that the server can prove that sums
    /// do not wrap although it never sees a bias.
    #[serde(default = "default_bias_bound")]
    pub bias_bound: f32,
    /// Shape of an image; its pixels lie in `[0, 1]`.
    pub input: Shape,
    /// The layers from the image to the logits; the last one is dense.
    pub layers: Vec<LayerSpec>,
}

/// Size of a feature map. Flat vectors are maps of `n × 1 × 1`.
///
/// Scalars are numbered channel-major: `(c * height + y) * width + x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Number of lines.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(
    name(LayerKind),
    doc = "The kind of a [`LayerSpec`]; displayed as it is written in a spec.",
    derive(Display),
    strum(serialize_all = "snake_case"),
    allow(missing_docs, reason = "documented where the layer is")
)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Convolution with a square kernel (cross-correlation, as everywhere in the field).
    Conv {
        /// Number of output channels.
        out_channels: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Distance between two positions of the kernel.
        #[serde(default = "default_stride")]
        stride: usize,
        /// Lines and columns of zeros on each side of the map.
        #[serde(default)]
        padding: usize,
        /// What its kernels start from.
        #[serde(default, skip_serializing_if = "Filters::are_random")]
        filters: Filters,
    },
    /// Fully connected layer; a feature map before it is flattened.
    Dense {
        /// Number of outputs.
        outputs: usize,
    },
    /// Mean over windows of `size × size` that do not overlap.
    AvgPool {
        /// Side of the window.
        size: usize,
    },
    /// Maximum over windows of `size × size`.
    MaxPool {
        /// Side of the window.
        size: usize,
        /// Distance between two windows; the size unless given, so that windows do not overlap.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<usize>,
    },
    /// `min(max(z, 0), cap)`.
    Relu {
        /// Largest output.
        cap: f32,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent rounded to few evenly spaced values from -1 to 1, trained by a
    /// straight-through gradient.
    QuantisedTanh {
        /// Number of values, at least 2.
        levels: u32,
    },
    /// Turns a map of `c × h × w` into a vector; moves nothing.
    Flatten,
    /// Shears an image along its rows until its strokes stand upright (LeCun et al.
    /// 1998, *Gradient-Based Learning Applied to Document Recognition*, §III.A): a fixed, public
    /// function of each image alone, computed by the client before anything is encrypted; only as
    /// the first layer.
    ///
    /// Row y moves by `m (y - c)` pixels, c and m being the mean of the rows and the quotient of
    /// the second moments (rows with columns, over rows with rows), weighted by the brightness of
    /// all channels together and m kept within ±1.
    Deskew,
    /// `(x - mean) / deviation` by public constants, computed by the client on its images before
    /// they are encrypted; only before layers of other kinds.
    Normalise {
        /// What is subtracted.
        mean: f32,
        /// What is divided by.
        deviation: f32,
    },
    /// Scattering transform of second order and group normalisation (Tramèr & Boneh, ICLR 2021):
    /// fixed, public features, computed by the client on its images before they are encrypted; only
    /// before layers of other kinds.
    ///
    /// A channel of `h × w` becomes `1 + J L + L² J (J - 1) / 2` channels of
    /// `⌊h / 2^J⌋ × ⌊w / 2^J⌋`, all of them normalised in groups of neighbouring channels and
    /// clipped to `±`[`crate::SCATTER_BOUND`].
    Scatter {
        /// Number of scales J.
        #[serde(default = "default_scales")]
        scales: usize,
        /// Number of angles L.
        #[serde(default = "default_angles")]
        angles: usize,
        /// Number of groups; divides the channels.
        #[serde(default = "default_groups")]
        groups: usize,
    },
}

/// What the kernels of a convolution are before training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filters {
    /// Uniform random weights.
    #[default]
    Random,
    /// Gabor filters: edges and bars in evenly spaced orientations. A public choice that costs no
    /// privacy and that private training, which moves weights little, keeps much of.
    Gabor,
}

impl Filters {
    fn are_random(&self) -> bool {
        *self == Self::Random
    }
}

impl Shape {
    /// A map of `channels × height × width`.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// A vector.
    pub const fn flat(length: usize) -> Self {
        Self::new(length, 1, 1)
    }

    /// Number of scalars; `usize::MAX` where it would overflow, which every limit refuses.
    pub const fn len(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// Whether the map holds no scalar.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl LayerSpec {
    /// The kind of this layer.
    pub fn kind(&self) -> LayerKind {
        self.into()
    }

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

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

fn default_bias_bound() -> f32 {
    NetworkSpec::DEFAULT_BIAS_BOUND
}

fn default_stride() -> usize {
    1
}

fn default_scales() -> usize {
    NetworkSpec::DEFAULT_SCALES
}

fn default_angles() -> usize {
    NetworkSpec::DEFAULT_ANGLES
}

fn default_groups() -> usize {
    NetworkSpec::DEFAULT_GROUPS
}
