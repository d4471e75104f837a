//! The networks that come with Sphinx, all for MNIST images.

use crate::spec::{Filters, LayerSpec, NetworkSpec, Shape};

const MNIST: Shape = Shape::new(1, 28, 28);

const NAMES: [&str; 10] = [
    "sphinx-mnist",
    "lola",
    "mlp-100",
    "conv-180",
    "tanh-cnn",
    "gabor-cnn",
    "scatter-linear",
    "scatter-cnn",
    "deskew-linear",
    "deskew-mlp",
];

const SCATTER: LayerSpec = LayerSpec::Scatter {
    scales: NetworkSpec::DEFAULT_SCALES,
    angles: NetworkSpec::DEFAULT_ANGLES,
    groups: NetworkSpec::DEFAULT_GROUPS,
};

impl NetworkSpec {
    /// What biases are projected to unless the spec says otherwise.
    pub const DEFAULT_BIAS_BOUND: f32 = 4.0;
    /// Scales of a scattering transform unless the spec says otherwise.
    pub const DEFAULT_SCALES: usize = 2;
    /// Angles of a scattering transform unless the spec says otherwise.
    pub const DEFAULT_ANGLES: usize = 8;
    /// Groups that its 81 channels are normalised in unless the spec says otherwise.
    pub const DEFAULT_GROUPS: usize = 27;

    /// The built-in network called `name`, if there is one.
    pub fn builtin(name: &str) -> Option<Self> {
        let layers = match name {
            "sphinx-mnist" => sphinx_mnist(),
            "lola" => lola(),
            "mlp-100" => mlp_100(),
            "conv-180" => conv_180(),
            "tanh-cnn" => tanh_cnn(Filters::Random),
            "gabor-cnn" => tanh_cnn(Filters::Gabor),
            "scatter-linear" => vec![SCATTER, LayerSpec::Dense { outputs: 10 }],
            "scatter-cnn" => scatter_cnn(),
            "deskew-linear" => vec![LayerSpec::Deskew, SCATTER, LayerSpec::Dense { outputs: 10 }],
            "deskew-mlp" => deskew_mlp(),
            _ => return None,
        };
        let bias_bound = Self::DEFAULT_BIAS_BOUND;
        Some(Self { name: name.to_owned(), input: MNIST, layers, bias_bound })
    }

    /// The names that [`NetworkSpec::builtin`] knows.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }
}

/// The CNN of Tian et al., IEEE S&P 2022: 33 400 weights and 142 biases.
fn sphinx_mnist() -> Vec<LayerSpec> {
    vec![
        LayerSpec::Conv {
            out_channels: 16,
            kernel: 5,
            stride: 1,
            padding: 0,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::Conv {
            out_channels: 16,
            kernel: 5,
            stride: 1,
            padding: 0,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::Dense { outputs: 100 },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 10 },
    ]
}

/// The CNN of CryptoNets and LoLa, with tanh in place of their square.
fn lola() -> Vec<LayerSpec> {
    vec![
        LayerSpec::Conv {
            out_channels: 5,
            kernel: 5,
            stride: 2,
            padding: 1,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 100 },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 10 },
    ]
}

/// Activations of 4 bits, for recognition in one shot.
const FOUR_BITS: LayerSpec = LayerSpec::QuantisedTanh { levels: 16 };

/// 100 neurons to bootstrap.
fn mlp_100() -> Vec<LayerSpec> {
    vec![LayerSpec::Dense { outputs: 100 }, FOUR_BITS, LayerSpec::Dense { outputs: 10 }]
}

/// Two activations in a row, 192 neurons to bootstrap.
fn deskew_mlp() -> Vec<LayerSpec> {
    vec![
        LayerSpec::Deskew,
        LayerSpec::Dense { outputs: 128 },
        FOUR_BITS,
        LayerSpec::Dense { outputs: 64 },
        FOUR_BITS,
        LayerSpec::Dense { outputs: 10 },
    ]
}

/// Few weights (2045), and 180 neurons to bootstrap.
fn conv_180() -> Vec<LayerSpec> {
    vec![
        LayerSpec::Conv {
            out_channels: 5,
            kernel: 7,
            stride: 4,
            padding: 1,
            filters: Filters::Random,
        },
        FOUR_BITS,
        LayerSpec::Dense { outputs: 10 },
    ]
}

/// The CNN for MNIST of Tramèr & Boneh, ICLR 2021: 25 920 weights and 90 biases. `gabor-cnn` is the
/// same network whose first layer starts from Gabor filters.
fn tanh_cnn(filters: Filters) -> Vec<LayerSpec> {
    vec![
        LayerSpec::Conv { out_channels: 16, kernel: 8, stride: 2, padding: 2, filters },
        LayerSpec::Tanh,
        LayerSpec::MaxPool { size: 2, stride: Some(1) },
        LayerSpec::Conv {
            out_channels: 32,
            kernel: 4,
            stride: 2,
            padding: 0,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::MaxPool { size: 2, stride: Some(1) },
        LayerSpec::Dense { outputs: 32 },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 10 },
    ]
}

/// Their CNN on scattering features: 32 976 weights and 90 biases.
fn scatter_cnn() -> Vec<LayerSpec> {
    vec![
        SCATTER,
        LayerSpec::Conv {
            out_channels: 16,
            kernel: 3,
            stride: 2,
            padding: 1,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::Conv {
            out_channels: 32,
            kernel: 3,
            stride: 1,
            padding: 1,
            filters: Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 32 },
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 10 },
    ]
}
