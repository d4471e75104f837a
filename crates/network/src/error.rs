//! Why a network spec was refused.

use crate::spec::{LayerKind, Shape};

/// Why a [`crate::NetworkSpec`] was refused. Layers are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The text is no spec.
    #[error("the network spec is not valid TOML of the expected form: {0}")]
    Toml(#[from] toml::de::Error),
    /// The spec cannot be written as TOML.
    #[error("the network spec cannot be written as TOML: {0}")]
    TomlEncoding(#[from] toml::ser::Error),
    /// The image has no pixel.
    #[error("the input is {got}, expected at least 1x1x1")]
    EmptyInput {
        /// The declared shape.
        got: Shape,
    },
    /// The image has too many pixels.
    #[error("the input is {got}, that is more than {limit} scalars")]
    InputTooLarge {
        /// The declared shape.
        got: Shape,
        /// Most scalars allowed.
        limit: usize,
    },
    /// The bound on biases is no positive finite number.
    #[error("bias_bound is {got}, expected a positive finite number")]
    BiasBound {
        /// The declared bound.
        got: f32,
    },
    /// There are too many layers.
    #[error("the network has {got} layers, expected at most {limit}")]
    TooManyLayers {
        /// Number declared.
        got: usize,
        /// Most allowed.
        limit: usize,
    },
    /// A size is zero or larger than any map.
    #[error("layers[{layer}] ({kind}): {field} is {got}, expected 1 to {limit}")]
    Size {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Which of its sizes.
        field: &'static str,
        /// The declared size.
        got: usize,
        /// Largest allowed.
        limit: usize,
    },
    /// The kernel is larger than the padded map.
    #[error(
        "layers[{layer}] ({kind}) got a map of {got}, expected at least {expected}x{expected} \
         for kernel {kernel} with padding {padding}"
    )]
    KernelTooLarge {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Shape the layer gets.
        got: Shape,
        /// Smallest height and width that would do.
        expected: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Padding on each side.
        padding: usize,
    },
    /// A kernel too small to hold a wave.
    #[error(
        "layers[{layer}] ({kind}): kernel is {got}, expected at least {least} for Gabor filters"
    )]
    GaborKernel {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Side of the kernel.
        got: usize,
        /// Smallest allowed.
        least: usize,
    },
    /// Some kernel positions would see nothing but padding.
    #[error("layers[{layer}] ({kind}): padding is {got}, expected less than the kernel's {kernel}")]
    PaddingTooLarge {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Padding on each side.
        got: usize,
        /// Side of the kernel.
        kernel: usize,
    },
    /// The windows of a pool do not cover the map evenly.
    #[error(
        "layers[{layer}] ({kind}) got a map of {got}, expected sides that windows of {size} every {stride} fill evenly"
    )]
    PoolDoesNotDivide {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Shape the layer gets.
        got: Shape,
        /// Side of the window.
        size: usize,
        /// Distance between two windows.
        stride: usize,
    },
    /// A convolution or pool follows a dense or flatten layer.
    #[error(
        "layers[{layer}] ({kind}) got a vector of {got} scalars, expected a feature map; \
         place it before the first dense or flatten layer"
    )]
    NotAMap {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Length of the vector.
        got: usize,
    },
    /// The cap of a ReLU is no positive finite number.
    #[error("layers[{layer}] ({kind}): cap is {got}, expected a positive finite number")]
    Cap {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// The declared cap.
        got: f32,
    },
    /// A quantised activation has too few or too many values.
    #[error("layers[{layer}] ({kind}): levels is {got}, expected 2 to {limit}")]
    Levels {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// The declared number.
        got: u32,
        /// Most values.
        limit: u32,
    },
    /// A layer of the stem follows a layer of another kind.
    #[error(
        "layers[{layer}] ({kind}) follows a layer of another kind, expected it before all of them: it is computed on \
         images before they are encrypted"
    )]
    LateStem {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
    },
    /// A layer that works on the pixels comes after another.
    #[error(
        "layers[{layer}] ({kind}) has to be the first layer: it works on the pixels themselves"
    )]
    NotFirst {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
    },
    /// A constant of a normalisation makes no sense.
    #[error("layers[{layer}] ({kind}): {field} is {got}, expected {expected}")]
    Constant {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Which constant.
        field: &'static str,
        /// The declared value.
        got: f32,
        /// What it should be.
        expected: &'static str,
    },
    /// Scales that leave nothing of a map.
    #[error("layers[{layer}] ({kind}) got a map of {got}, expected sides of at least {expected}")]
    MapTooSmall {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Shape the layer gets.
        got: Shape,
        /// Smallest side that would do.
        expected: usize,
    },
    /// The channels cannot be cut into groups of equal size.
    #[error(
        "layers[{layer}] ({kind}) yields {channels} channels, expected a number that {groups} groups divide"
    )]
    Groups {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Number of channels.
        channels: usize,
        /// Number of groups.
        groups: usize,
    },
    /// A linear layer is fed by another one without a bounded activation between.
    #[error(
        "layers[{layer}] ({kind}) got unbounded values from layers[{previous}], expected an \
         activation (tanh, sigmoid or relu) between the two linear layers"
    )]
    UnboundedInput {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
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
    MissingFinalDense {
        /// Index of the last linear layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Shape it yields.
        got: Shape,
    },
    /// Something follows the logits.
    #[error(
        "layers[{layer}] ({kind}) follows the last dense layer, expected nothing there: the loss \
         is softmax cross-entropy on its {classes} outputs"
    )]
    LayerAfterLogits {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Number of logits.
        classes: usize,
    },
    /// There is nothing to tell apart.
    #[error("layers[{layer}] ({kind}) yields {got} logit, expected at least 2")]
    TooFewClasses {
        /// Index of the last dense layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Number of logits.
        got: usize,
    },
    /// A layer yields too many scalars.
    #[error("layers[{layer}] ({kind}) yields a map of {got}, that is more than {limit} scalars")]
    TooManyRows {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Shape it yields.
        got: Shape,
        /// Most scalars allowed.
        limit: usize,
    },
    /// The network has too many weights.
    #[error(
        "up to layers[{layer}] ({kind}) the network has {got} weights, expected at most {limit}"
    )]
    TooManyWeights {
        /// Index of the layer that exceeds the limit.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Number of weights up to here.
        got: usize,
        /// Most allowed.
        limit: usize,
    },
    /// One stage would cost too much time and memory.
    #[error(
        "layers[{layer}] ({kind}) takes {got} multiply-adds per sample, expected at most {limit}"
    )]
    TooManyMultiplyAdds {
        /// Index of the layer.
        layer: usize,
        /// Its kind.
        kind: LayerKind,
        /// Multiply-adds per sample.
        got: usize,
        /// Most allowed.
        limit: usize,
    },
}
