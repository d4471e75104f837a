//! Why a network spec was refused.

use crate::spec::{LayerKind, Shape};

/// Why a [`crate::NetworkSpec`] was refused.
///
/// `layer` is the place of the layer in the spec, from 0, and `kind` its kind. `got` is what the
/// spec declares there, or the shape that the layer gets or yields by it; `limit`, `least` and
/// `expected` are the largest or smallest value that would do. Sizes, paddings and strides count
/// lines and columns of a map, rows its scalars.
#[expect(missing_docs, reason = "the fields mean the same in every variant, as said above")]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The text is not a spec.
    #[error("the network spec is not valid TOML of the expected form: {0}")]
    Toml(#[from] toml::de::Error),
    /// The spec cannot be written as TOML.
    #[error("the network spec cannot be written as TOML: {0}")]
    TomlEncoding(#[from] toml::ser::Error),
    /// The image has no pixel.
    #[error("the input is {got}, expected at least 1x1x1")]
    EmptyInput { got: Shape },
    /// The image has too many pixels.
    #[error("the input is {got}, that is more than {limit} scalars")]
    InputTooLarge { got: Shape, limit: usize },
    /// The bound on biases is not a positive finite number.
    #[error("bias_bound is {got}, expected a positive finite number")]
    BiasBound { got: f32 },
    /// There are too many layers.
    #[error("the network has {got} layers, expected at most {limit}")]
    TooManyLayers { got: usize, limit: usize },
    /// A size is zero or larger than any map.
    #[error("layers[{layer}] ({kind}): {field} is {got}, expected 1 to {limit}")]
    Size { layer: usize, kind: LayerKind, field: &'static str, got: usize, limit: usize },
    /// The kernel is larger than the padded map.
    #[error(
        "layers[{layer}] ({kind}) got a map of {got}, expected at least {expected}x{expected} \
         for kernel {kernel} with padding {padding}"
    )]
    KernelTooLarge {
        layer: usize,
        kind: LayerKind,
        got: Shape,
        /// Smallest height and width that would do.
        expected: usize,
        kernel: usize,
        padding: usize,
    },
    /// A kernel too small to hold a wave.
    #[error(
        "layers[{layer}] ({kind}): kernel is {got}, expected at least {least} for Gabor filters"
    )]
    GaborKernel { layer: usize, kind: LayerKind, got: usize, least: usize },
    /// Some kernel positions would see nothing but padding.
    #[error("layers[{layer}] ({kind}): padding is {got}, expected less than the kernel's {kernel}")]
    PaddingTooLarge { layer: usize, kind: LayerKind, got: usize, kernel: usize },
    /// The windows of a pool do not cover the map evenly.
    #[error(
        "layers[{layer}] ({kind}) got a map of {got}, expected sides that windows of {size} every {stride} fill evenly"
    )]
    PoolDoesNotDivide { layer: usize, kind: LayerKind, got: Shape, size: usize, stride: usize },
    /// A convolution or pool follows a dense or flatten layer.
    #[error(
        "layers[{layer}] ({kind}) got a vector of {got} scalars, expected a feature map; \
         place it before the first dense or flatten layer"
    )]
    NotAMap { layer: usize, kind: LayerKind, got: usize },
    /// The cap of a ReLU is not a positive finite number.
    #[error("layers[{layer}] ({kind}): cap is {got}, expected a positive finite number")]
    Cap { layer: usize, kind: LayerKind, got: f32 },
    /// A quantised activation has too few or too many values.
    #[error("layers[{layer}] ({kind}): levels is {got}, expected 2 to {limit}")]
    Levels { layer: usize, kind: LayerKind, got: u32, limit: u32 },
    /// A layer of the stem follows a layer of another kind.
    #[error(
        "layers[{layer}] ({kind}) follows a layer of another kind, expected it before all of them: it is computed on \
         images before they are encrypted"
    )]
    LateStem { layer: usize, kind: LayerKind },
    /// A layer that works on the pixels comes after another.
    #[error(
        "layers[{layer}] ({kind}) has to be the first layer: it works on the pixels themselves"
    )]
    NotFirst { layer: usize, kind: LayerKind },
    /// A constant of a normalisation makes no sense.
    #[error("layers[{layer}] ({kind}): {field} is {got}, expected {expected}")]
    Constant {
        layer: usize,
        kind: LayerKind,
        field: &'static str,
        got: f32,
        expected: &'static str,
    },
    /// Scales that leave nothing of a map.
    #[error("layers[{layer}] ({kind}) got a map of {got}, expected sides of at least {expected}")]
    MapTooSmall {
        layer: usize,
        kind: LayerKind,
        got: Shape,
        /// Smallest side that would do.
        expected: usize,
    },
    /// The channels cannot be cut into groups of equal size.
    #[error(
        "layers[{layer}] ({kind}) yields {channels} channels, expected a number that {groups} groups divide"
    )]
    Groups { layer: usize, kind: LayerKind, channels: usize, groups: usize },
    /// A linear layer is fed by another one without a bounded activation between.
    #[error(
        "layers[{layer}] ({kind}) got unbounded values from layers[{previous}], expected an \
         activation (tanh, sigmoid or relu) between the two linear layers"
    )]
    UnboundedInput {
        layer: usize,
        kind: LayerKind,
        /// Index of the linear layer before it.
        previous: usize,
    },
    /// There is nothing to train.
    #[error(
        "the network has no conv or dense layer, expected a dense layer that yields the logits"
    )]
    NoLinearLayer,
    /// The last linear layer is a convolution.
    #[error(
        "the last linear layer is layers[{layer}] ({kind}) and yields a map of {got}, expected a \
         dense layer that yields the logits"
    )]
    MissingFinalDense { layer: usize, kind: LayerKind, got: Shape },
    /// Something follows the logits.
    #[error(
        "layers[{layer}] ({kind}) follows the last dense layer, expected nothing there: the loss \
         is softmax cross-entropy on its {classes} outputs"
    )]
    LayerAfterLogits { layer: usize, kind: LayerKind, classes: usize },
    /// There is nothing to tell apart.
    #[error("layers[{layer}] ({kind}) yields {got} logit, expected at least 2")]
    TooFewClasses { layer: usize, kind: LayerKind, got: usize },
    /// A layer yields too many scalars.
    #[error("layers[{layer}] ({kind}) yields a map of {got}, that is more than {limit} scalars")]
    TooManyRows { layer: usize, kind: LayerKind, got: Shape, limit: usize },
    /// The network has too many weights.
    #[error(
        "up to layers[{layer}] ({kind}) the network has {got} weights, expected at most {limit}"
    )]
    TooManyWeights {
        /// Index of the layer that exceeds the limit.
        layer: usize,
        kind: LayerKind,
        /// Number of weights up to here.
        got: usize,
        limit: usize,
    },
    /// One stage would cost too much time and memory.
    #[error(
        "layers[{layer}] ({kind}) takes {got} multiply-adds per sample, expected at most {limit}"
    )]
    TooManyMultiplyAdds { layer: usize, kind: LayerKind, got: usize, limit: usize },
}
