//! One test per reason to refuse a spec.

use super::conv;
use crate::{
    LayerKind, LayerSpec, MAX_ANGLES, MAX_LAYERS, MAX_LEVELS, MAX_MULTIPLY_ADDS, MAX_ROWS,
    MAX_SCALES, MAX_WEIGHTS, NetworkSpec, Plan, Shape, SpecError,
};

const DENSE: LayerSpec = LayerSpec::Dense { outputs: 10 };

fn refusal(input: Shape, layers: Vec<LayerSpec>) -> SpecError {
    let spec = NetworkSpec { name: "test".into(), input, layers, bias_bound: 4.0 };
    Plan::new(&spec).unwrap_err()
}

fn image(layers: Vec<LayerSpec>) -> SpecError {
    refusal(Shape::new(1, 28, 28), layers)
}

#[test]
fn rejects_empty_input() {
    let got = Shape::new(1, 0, 28);
    assert_eq!(refusal(got, vec![DENSE]), SpecError::EmptyInput { got });
}

#[test]
fn rejects_input_that_is_too_large() {
    for got in [Shape::new(1, 256, 257), Shape::new(usize::MAX, usize::MAX, 2)] {
        assert_eq!(refusal(got, vec![DENSE]), SpecError::InputTooLarge { got, limit: MAX_ROWS });
    }
}

#[test]
fn rejects_bias_bound_that_bounds_nothing() {
    for bias_bound in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut spec = NetworkSpec::builtin("mlp-100").unwrap();
        spec.bias_bound = bias_bound;
        assert!(matches!(Plan::new(&spec), Err(SpecError::BiasBound { .. })), "{bias_bound}");
    }
}

#[test]
fn rejects_too_many_layers() {
    let error = image(vec![LayerSpec::Tanh; MAX_LAYERS + 1]);
    assert_eq!(error, SpecError::TooManyLayers { got: MAX_LAYERS + 1, limit: MAX_LAYERS });
}

#[test]
fn rejects_sizes_of_zero_or_beyond_any_map() {
    let with = |out_channels, kernel, stride| {
        let conv = LayerSpec::Conv {
            out_channels,
            kernel,
            stride,
            padding: 0,
            filters: crate::Filters::Random,
        };
        (LayerKind::Conv, conv)
    };
    let cases = [
        (with(0, 5, 1), "out_channels", 0),
        (with(1, 0, 1), "kernel", 0),
        (with(1, usize::MAX, 1), "kernel", usize::MAX),
        (with(1, 5, 0), "stride", 0),
        ((LayerKind::Dense, LayerSpec::Dense { outputs: 0 }), "outputs", 0),
        ((LayerKind::AvgPool, LayerSpec::AvgPool { size: 0 }), "size", 0),
        ((LayerKind::MaxPool, LayerSpec::MaxPool { size: 0, stride: None }), "size", 0),
    ];
    for ((kind, layer), field, got) in cases {
        let expected = SpecError::Size { layer: 0, kind, field, got, limit: MAX_ROWS };
        assert_eq!(image(vec![layer, DENSE]), expected);
    }
}

#[test]
fn rejects_quantised_activations_without_values() {
    for got in [0, 1, MAX_LEVELS + 1, u32::MAX] {
        let error = image(vec![DENSE, LayerSpec::QuantisedTanh { levels: got }, DENSE]);
        let (kind, limit) = (LayerKind::QuantisedTanh, MAX_LEVELS);
        assert_eq!(error, SpecError::Levels { layer: 1, kind, got, limit });
    }
}

#[test]
fn rejects_kernel_larger_than_the_padded_map() {
    let conv = LayerSpec::Conv {
        out_channels: 2,
        kernel: 9,
        stride: 1,
        padding: 1,
        filters: crate::Filters::Random,
    };
    let error = refusal(Shape::new(1, 6, 30), vec![conv, LayerSpec::Tanh, DENSE]);
    let expected = SpecError::KernelTooLarge {
        layer: 0,
        kind: LayerKind::Conv,
        got: Shape::new(1, 6, 30),
        expected: 7,
        kernel: 9,
        padding: 1,
    };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "layers[0] (conv) got a map of 1x6x30, expected at least 7x7 for kernel 9 with padding 1"
    );
}

#[test]
fn rejects_padding_as_wide_as_the_kernel() {
    for padding in [3, usize::MAX] {
        let conv = LayerSpec::Conv {
            out_channels: 2,
            kernel: 3,
            stride: 1,
            padding,
            filters: crate::Filters::Random,
        };
        let (layer, kind) = (0, LayerKind::Conv);
        let expected = SpecError::PaddingTooLarge { layer, kind, got: padding, kernel: 3 };
        assert_eq!(image(vec![conv, DENSE]), expected);
    }
}

#[test]
fn rejects_pool_that_does_not_divide() {
    for (pool, kind) in [
        (LayerSpec::AvgPool { size: 5 }, LayerKind::AvgPool),
        (LayerSpec::MaxPool { size: 5, stride: None }, LayerKind::MaxPool),
    ] {
        let got = Shape::new(4, 24, 24);
        let expected = SpecError::PoolDoesNotDivide { layer: 1, kind, got, size: 5, stride: 5 };
        assert_eq!(image(vec![conv(4, 5), pool, DENSE]), expected);
    }
}

#[test]
fn rejects_maps_after_vectors() {
    let tanh = LayerSpec::Tanh;
    let dense = LayerSpec::Dense { outputs: 16 };
    for (first, kind, layer) in [
        (dense.clone(), LayerKind::Conv, conv(4, 1)),
        (dense.clone(), LayerKind::AvgPool, LayerSpec::AvgPool { size: 1 }),
        (dense, LayerKind::MaxPool, LayerSpec::MaxPool { size: 1, stride: None }),
    ] {
        let error = image(vec![first, tanh.clone(), layer, DENSE]);
        assert_eq!(error, SpecError::NotAMap { layer: 2, kind, got: 16 });
    }
    let error = image(vec![LayerSpec::Flatten, conv(4, 1), DENSE]);
    assert_eq!(error, SpecError::NotAMap { layer: 1, kind: LayerKind::Conv, got: 784 });
}

#[test]
fn rejects_avg_pool_after_dense() {
    let error = image(vec![LayerSpec::Dense { outputs: 16 }, LayerSpec::AvgPool { size: 2 }]);
    assert_eq!(error, SpecError::NotAMap { layer: 1, kind: LayerKind::AvgPool, got: 16 });
}

#[test]
fn rejects_cap_that_caps_nothing() {
    for cap in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = image(vec![conv(4, 5), LayerSpec::Relu { cap }, DENSE]);
        assert!(matches!(error, SpecError::Cap { layer: 1, kind: LayerKind::Relu, .. }), "{cap}");
    }
}

#[test]
fn rejects_linear_layers_without_activation_between() {
    let (avg, max) = (LayerSpec::AvgPool { size: 2 }, LayerSpec::MaxPool { size: 2, stride: None });
    for layers in [
        vec![conv(4, 5), DENSE],
        vec![conv(4, 5), avg, DENSE],
        vec![conv(4, 5), max, DENSE],
        vec![conv(4, 5), LayerSpec::Flatten, DENSE],
    ] {
        let layer = layers.len() - 1;
        let expected = SpecError::UnboundedInput { layer, kind: LayerKind::Dense, previous: 0 };
        assert_eq!(image(layers), expected);
    }
}

#[test]
fn rejects_network_without_linear_layer() {
    assert_eq!(image(vec![]), SpecError::NoLinearLayer);
    assert_eq!(image(vec![LayerSpec::Tanh, LayerSpec::Flatten]), SpecError::NoLinearLayer);
}

#[test]
fn rejects_missing_final_dense() {
    let expected = SpecError::MissingFinalDense {
        layer: 0,
        kind: LayerKind::Conv,
        got: Shape::new(4, 24, 24),
    };
    assert_eq!(image(vec![conv(4, 5)]), expected);
    assert_eq!(image(vec![conv(4, 5), LayerSpec::Tanh]), expected);
}

#[test]
fn rejects_anything_after_the_logits() {
    for (layer, kind) in
        [(LayerSpec::Tanh, LayerKind::Tanh), (LayerSpec::Flatten, LayerKind::Flatten)]
    {
        let expected = SpecError::LayerAfterLogits { layer: 1, kind, classes: 10 };
        assert_eq!(image(vec![DENSE, layer]), expected);
    }
}

#[test]
fn rejects_a_single_class() {
    let expected = SpecError::TooFewClasses { layer: 0, kind: LayerKind::Dense, got: 1 };
    assert_eq!(image(vec![LayerSpec::Dense { outputs: 1 }]), expected);
}

#[test]
fn rejects_too_many_rows() {
    let got = Shape::new(128, 24, 24);
    let expected = SpecError::TooManyRows { layer: 0, kind: LayerKind::Conv, got, limit: MAX_ROWS };
    assert_eq!(image(vec![conv(128, 5), LayerSpec::Tanh, DENSE]), expected);
}

#[test]
fn rejects_too_many_weights() {
    let wide = LayerSpec::Dense { outputs: 4096 };
    let layers = vec![wide.clone(), LayerSpec::Tanh, wide, LayerSpec::Tanh, DENSE];
    let got = 784 * 4096 + 4096 * 4096;
    let (layer, kind) = (2, LayerKind::Dense);
    let expected = SpecError::TooManyWeights { layer, kind, got, limit: MAX_WEIGHTS };
    assert_eq!(image(layers), expected);
}

#[test]
fn rejects_too_many_multiply_adds() {
    let input = Shape::new(1, 256, 256);
    let error = refusal(input, vec![conv(1, 128), LayerSpec::Tanh, DENSE]);
    let got = 129 * 129 * 128 * 128;
    let (layer, kind) = (0, LayerKind::Conv);
    let expected = SpecError::TooManyMultiplyAdds { layer, kind, got, limit: MAX_MULTIPLY_ADDS };
    assert_eq!(error, expected);
}

#[test]
fn rejects_a_stem_that_does_not_come_first() {
    let normalise = LayerSpec::Normalise { mean: 0.5, deviation: 0.5 };
    let scatter = LayerSpec::Scatter { scales: 2, angles: 8, groups: 27 };
    let deskew = (LayerSpec::Deskew, LayerKind::Deskew);
    for stem in [normalise.clone(), scatter.clone(), LayerSpec::Deskew] {
        let error = image(vec![stem, LayerSpec::Deskew, DENSE]);
        assert_eq!(error, SpecError::NotFirst { layer: 1, kind: LayerKind::Deskew });
    }
    for (stem, kind) in [(normalise, LayerKind::Normalise), (scatter, LayerKind::Scatter), deskew] {
        for first in [LayerSpec::AvgPool { size: 2 }, LayerSpec::Tanh, LayerSpec::Flatten, DENSE] {
            let error = image(vec![first, stem.clone(), DENSE]);
            assert_eq!(error, SpecError::LateStem { layer: 1, kind });
        }
    }
}

#[test]
fn rejects_constants_that_normalise_nothing() {
    for (mean, deviation, field) in [
        (f32::NAN, 1.0, "mean"),
        (f32::INFINITY, 1.0, "mean"),
        (0.0, 0.0, "deviation"),
        (0.0, -1.0, "deviation"),
        (0.0, f32::NAN, "deviation"),
        (1.0, 1e-39, "deviation"),
        (1e30, 1.0, "deviation"),
    ] {
        let error = image(vec![LayerSpec::Normalise { mean, deviation }, DENSE]);
        let kind = LayerKind::Normalise;
        assert!(
            matches!(error, SpecError::Constant { layer: 0, kind: k, field: f, .. } if (k, f) == (kind, field)),
            "{mean} {deviation}: {error}"
        );
    }
}

#[test]
fn rejects_scatterings_that_do_not_fit() {
    let scatter = |scales, angles, groups| LayerSpec::Scatter { scales, angles, groups };
    let (layer, kind) = (0, LayerKind::Scatter);
    let cases = [
        (scatter(0, 8, 27), "scales", 0, MAX_SCALES),
        (scatter(7, 8, 27), "scales", 7, MAX_SCALES),
        (scatter(2, 0, 27), "angles", 0, MAX_ANGLES),
        (scatter(2, 17, 27), "angles", 17, MAX_ANGLES),
        (scatter(2, 8, 0), "groups", 0, MAX_ROWS),
    ];
    for (scatter, field, got, limit) in cases {
        let expected = SpecError::Size { layer, kind, field, got, limit };
        assert_eq!(image(vec![scatter, DENSE]), expected);
    }
    let expected = SpecError::Groups { layer, kind, channels: 81, groups: 26 };
    assert_eq!(image(vec![scatter(2, 8, 26), DENSE]), expected);
    let got = Shape::new(1, 28, 28);
    let expected = SpecError::MapTooSmall { layer, kind, got, expected: 32 };
    assert_eq!(image(vec![scatter(5, 8, 1), DENSE]), expected);
    let got = Shape::new(1, 3, 40);
    let expected = SpecError::MapTooSmall { layer, kind, got, expected: 4 };
    assert_eq!(refusal(got, vec![scatter(2, 8, 27), DENSE]), expected);
    let got = Shape::new(289, 16, 16);
    let expected = SpecError::TooManyRows { layer, kind, got, limit: MAX_ROWS };
    assert_eq!(refusal(Shape::new(1, 64, 64), vec![scatter(2, 16, 1), DENSE]), expected);
}

#[test]
fn rejects_windows_with_gaps_or_remainders() {
    let pool = |size, stride| LayerSpec::MaxPool { size, stride: Some(stride) };
    let (layer, kind) = (1, LayerKind::MaxPool);
    for got in [0, 3] {
        let expected = SpecError::Size { layer, kind, field: "stride", got, limit: 2 };
        assert_eq!(image(vec![conv(4, 5), pool(2, got), DENSE]), expected);
    }
    let got = Shape::new(4, 24, 24);
    let expected = SpecError::PoolDoesNotDivide { layer, kind, got, size: 3, stride: 2 };
    assert_eq!(image(vec![conv(4, 5), pool(3, 2), DENSE]), expected);
    let expected = SpecError::PoolDoesNotDivide { layer, kind, got, size: 25, stride: 1 };
    assert_eq!(image(vec![conv(4, 5), pool(25, 1), DENSE]), expected);
}

#[test]
fn rejects_gabor_filters_without_room_for_a_wave() {
    let mut spec = NetworkSpec::builtin("gabor-cnn").unwrap();
    if let LayerSpec::Conv { kernel, padding, .. } = &mut spec.layers[0] {
        (*kernel, *padding) = (2, 0);
    }
    let error = Plan::new(&spec).unwrap_err();
    assert!(matches!(error, SpecError::GaborKernel { layer: 0, got: 2, least: 3, .. }), "{error}");
}
