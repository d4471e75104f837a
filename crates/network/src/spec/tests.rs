use crate::{LayerKind, LayerSpec, NetworkSpec, Shape, SpecError};

#[test]
fn toml_round_trip() {
    for name in NetworkSpec::builtin_names() {
        let spec = NetworkSpec::builtin(name).unwrap();
        assert_eq!(spec.name, name);
        assert_eq!(NetworkSpec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
    }
    let every_kind = NetworkSpec {
        name: "every-kind".into(),
        input: Shape::new(3, 7, 9),
        layers: vec![
            LayerSpec::Conv {
                out_channels: 2,
                kernel: 3,
                stride: 2,
                padding: 1,
                filters: crate::Filters::Random,
            },
            LayerSpec::Dense { outputs: 4 },
            LayerSpec::AvgPool { size: 2 },
            LayerSpec::MaxPool { size: 3, stride: None },
            LayerSpec::MaxPool { size: 3, stride: Some(2) },
            LayerSpec::Deskew,
            LayerSpec::Normalise { mean: 0.25, deviation: 0.5 },
            LayerSpec::Scatter { scales: 3, angles: 4, groups: 61 },
            LayerSpec::Relu { cap: 0.1 },
            LayerSpec::Tanh,
            LayerSpec::Sigmoid,
            LayerSpec::QuantisedTanh { levels: 8 },
            LayerSpec::Flatten,
        ],
        bias_bound: 0.3,
    };
    assert_eq!(NetworkSpec::from_toml(&every_kind.to_toml().unwrap()).unwrap(), every_kind);
}

#[test]
fn defaults_are_stride_one_no_padding_and_the_usual_bias_bound() {
    let text = r#"
        name = "short"
        input = { channels = 1, height = 4, width = 4 }
        [[layers]]
        kind = "conv"
        out_channels = 2
        kernel = 3
        [[layers]]
        kind = "relu"
        cap = 6
    "#;
    let spec = NetworkSpec::from_toml(text).unwrap();
    assert_eq!(spec.bias_bound, 4.0);
    let conv = LayerSpec::Conv {
        out_channels: 2,
        kernel: 3,
        stride: 1,
        padding: 0,
        filters: crate::Filters::Random,
    };
    assert_eq!(spec.layers, [conv, LayerSpec::Relu { cap: 6.0 }]);
}

#[test]
fn rejects_malformed_toml() {
    let head = "name = 'x'\ninput = { channels = 1, height = 4, width = 4 }\n";
    for layers in [
        "layers = [{ kind = 'convolution', kernel = 3 }]",
        "layers = [{ kind = 'conv', kernel = 3 }]",
        "layers = [{ kind = 'conv', out_channels = 1, kernel = -3 }]",
        "layers = [{ kind = 'conv', out_channels = 1, kernel = 3, strides = 2 }]",
        "layers = [{ kind = 'dense', outputs = 'ten' }]",
        "layers = []\nlearning_rate = 1",
        "",
    ] {
        let result = NetworkSpec::from_toml(&format!("{head}{layers}"));
        assert!(matches!(result, Err(SpecError::Toml(_))), "{layers}: {result:?}");
    }
}

#[test]
fn rejects_unknown_builtin() {
    assert_eq!(NetworkSpec::builtin("alexnet"), None);
}

#[test]
fn kinds_are_named_as_in_toml() {
    let text = NetworkSpec::builtin("sphinx-mnist").unwrap().to_toml().unwrap();
    for kind in [LayerKind::Conv, LayerKind::Tanh, LayerKind::AvgPool, LayerKind::Dense] {
        assert!(text.contains(&format!("kind = \"{kind}\"")), "{kind} in {text}");
    }
}
