//! Networks between schema and domain.

use sphinx_network::{Direction, Filters, LayerSpec, NetworkSpec, Shape};

use crate::{
    ConversionError,
    conversion::required,
    v1::{
        ClippedRelu, Conv, Dense, Deskew, Direction as DirectionMessage, Filters as FiltersMessage,
        Flatten, Layer, Network, Normalise, Pool, QuantisedTanh, Scatter, Shape as ShapeMessage,
        Sigmoid, Tanh, layer::Kind,
    },
};

/// Longest name of a network, bytes: it is stored with every model and returned with every listing.
const MAX_NAME: usize = 200;

impl TryFrom<Network> for NetworkSpec {
    type Error = ConversionError;

    /// Reads a network. Whether its shapes fit is for `Plan::new` to say.
    fn try_from(network: Network) -> Result<Self, ConversionError> {
        if network.name.len() > MAX_NAME {
            let got = format!("{} bytes long", network.name.len());
            let expected = "at most 200 bytes";
            return Err(ConversionError::Value { field: "network.name", got, expected });
        }
        let shape = required("network.input", "the shape of an image", network.input)?;
        let layers = network.layers.into_iter().map(layer).collect::<Result<_, _>>()?;
        let bias_bound =
            if network.bias_bound == 0.0 { Self::DEFAULT_BIAS_BOUND } else { network.bias_bound };
        let input = Shape {
            channels: size(shape.channels),
            height: size(shape.height),
            width: size(shape.width),
        };
        Ok(Self { name: network.name, bias_bound, input, layers })
    }
}

fn layer(layer: Layer) -> Result<LayerSpec, ConversionError> {
    Ok(match required("network.layers.kind", "a kind of layer", layer.kind)? {
        Kind::Conv(conv) => LayerSpec::Conv {
            out_channels: size(conv.out_channels),
            kernel: size(conv.kernel),
            // What a person leaves out in a request made by hand.
            stride: size(conv.stride.max(1)),
            padding: size(conv.padding),
            filters: filters(conv.filters)?,
        },
        Kind::Dense(Dense { outputs }) => LayerSpec::Dense { outputs: size(outputs) },
        Kind::AvgPool(Pool { size: side, stride }) => {
            if stride != 0 && stride != side {
                let (got, expected) = (stride.to_string(), "0 or the window's size");
                let field = "network.layers.avg_pool.stride";
                return Err(ConversionError::Value { field, got, expected });
            }
            LayerSpec::AvgPool { size: size(side) }
        }
        Kind::MaxPool(pool) => LayerSpec::MaxPool {
            size: size(pool.size),
            stride: (pool.stride != 0).then(|| size(pool.stride)),
        },
        Kind::Relu(ClippedRelu { cap }) => LayerSpec::Relu { cap },
        Kind::Tanh(Tanh {}) => LayerSpec::Tanh,
        Kind::Sigmoid(Sigmoid {}) => LayerSpec::Sigmoid,
        Kind::QuantisedTanh(QuantisedTanh { levels }) => LayerSpec::QuantisedTanh { levels },
        Kind::Flatten(Flatten {}) => LayerSpec::Flatten,
        Kind::Scatter(Scatter { scales, angles, groups }) => {
            let or = |count, default| if count == 0 { default } else { size(count) };
            LayerSpec::Scatter {
                scales: or(scales, NetworkSpec::DEFAULT_SCALES),
                angles: or(angles, NetworkSpec::DEFAULT_ANGLES),
                groups: or(groups, NetworkSpec::DEFAULT_GROUPS),
            }
        }
        Kind::Normalise(Normalise { mean, deviation }) => LayerSpec::Normalise { mean, deviation },
        Kind::Deskew(Deskew {}) => LayerSpec::Deskew,
    })
}

impl From<&NetworkSpec> for Network {
    fn from(spec: &NetworkSpec) -> Self {
        let Shape { channels, height, width } = spec.input;
        let input =
            ShapeMessage { channels: count(channels), height: count(height), width: count(width) };
        Self {
            name: spec.name.clone(),
            input: Some(input),
            layers: spec.layers.iter().map(message).collect(),
            bias_bound: spec.bias_bound,
        }
    }
}

fn message(layer: &LayerSpec) -> Layer {
    let kind = match *layer {
        LayerSpec::Conv { out_channels, kernel, stride, padding, filters } => Kind::Conv(Conv {
            out_channels: count(out_channels),
            kernel: count(kernel),
            stride: count(stride),
            padding: count(padding),
            filters: match filters {
                Filters::Random => FiltersMessage::Unspecified,
                Filters::Gabor => FiltersMessage::Gabor,
            }
            .into(),
        }),
        LayerSpec::Dense { outputs } => Kind::Dense(Dense { outputs: count(outputs) }),
        LayerSpec::AvgPool { size } => Kind::AvgPool(Pool { size: count(size), stride: 0 }),
        LayerSpec::MaxPool { size, stride } => {
            Kind::MaxPool(Pool { size: count(size), stride: stride.map_or(0, count) })
        }
        LayerSpec::Relu { cap } => Kind::Relu(ClippedRelu { cap }),
        LayerSpec::Tanh => Kind::Tanh(Tanh {}),
        LayerSpec::Sigmoid => Kind::Sigmoid(Sigmoid {}),
        LayerSpec::QuantisedTanh { levels } => Kind::QuantisedTanh(QuantisedTanh { levels }),
        LayerSpec::Flatten => Kind::Flatten(Flatten {}),
        LayerSpec::Normalise { mean, deviation } => Kind::Normalise(Normalise { mean, deviation }),
        LayerSpec::Deskew => Kind::Deskew(Deskew {}),
        LayerSpec::Scatter { scales, angles, groups } => Kind::Scatter(Scatter {
            scales: count(scales),
            angles: count(angles),
            groups: count(groups),
        }),
    };
    Layer { kind: Some(kind) }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn filters(filters: i32) -> Result<Filters, ConversionError> {
    match FiltersMessage::try_from(filters) {
        Ok(FiltersMessage::Unspecified) => Ok(Filters::Random),
        Ok(FiltersMessage::Gabor) => Ok(Filters::Gabor),
        Err(_) => {
            let (got, expected) = (filters.to_string(), "a known kind of filters (0 or 1)");
            Err(ConversionError::Value { field: "network.layers.conv.filters", got, expected })
        }
    }
}

/// Reads a direction.
///
/// # Errors
/// [`ConversionError::Value`] for an unspecified or unknown one.
pub fn direction(value: i32) -> Result<Direction, ConversionError> {
    match DirectionMessage::try_from(value) {
        Ok(DirectionMessage::Forward) => Ok(Direction::Forward),
        Ok(DirectionMessage::Backward) => Ok(Direction::Backward),
        Ok(DirectionMessage::Unspecified) | Err(_) => {
            let (got, expected) = (value.to_string(), "forward or backward");
            Err(ConversionError::Value { field: "direction", got, expected })
        }
    }
}

impl From<Direction> for DirectionMessage {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Backward => Self::Backward,
        }
    }
}

/// Sizes beyond 32 bits are far above every limit; the receiver refuses the saturated one as well.
fn count(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_survive_the_journey() {
        for name in NetworkSpec::builtin_names() {
            let spec = NetworkSpec::builtin(name).unwrap();
            assert_eq!(NetworkSpec::try_from(Network::from(&spec)), Ok(spec));
        }
    }

    #[test]
    fn directions_survive_the_journey() {
        for way in [Direction::Forward, Direction::Backward] {
            assert_eq!(direction(DirectionMessage::from(way).into()), Ok(way));
        }
        for value in [0, 3, -1] {
            let error = direction(value).unwrap_err().to_string();
            assert_eq!(error, format!("direction is {value}: expected forward or backward"));
        }
    }

    #[test]
    fn rejects_a_name_too_long_to_list() {
        let network = Network { name: "x".repeat(201), ..Network::default() };
        let error = NetworkSpec::try_from(network).unwrap_err();
        assert_eq!(error.to_string(), "network.name is 201 bytes long: expected at most 200 bytes");
    }

    #[test]
    fn rejects_unknown_filters() {
        let spec = NetworkSpec::builtin("gabor-cnn").unwrap();
        let mut network = Network::from(&spec);
        if let Some(Kind::Conv(conv)) =
            network.layers.first_mut().and_then(|first| first.kind.as_mut())
        {
            conv.filters = 7;
        }
        let error = NetworkSpec::try_from(network).unwrap_err().to_string();
        assert!(error.contains("network.layers.conv.filters is 7"), "{error}");
    }

    #[test]
    fn rejects_missing_parts() {
        let field = |result: Result<NetworkSpec, ConversionError>| match result {
            Err(ConversionError::Missing { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(NetworkSpec::try_from(Network::default())), "network.input");
        let network = Network {
            input: Some(ShapeMessage::default()),
            layers: vec![Layer { kind: None }],
            ..Network::default()
        };
        assert_eq!(field(NetworkSpec::try_from(network)), "network.layers.kind");
    }
}
