//! The features are those of Kymatio (see `reference/make.py`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use sphinx_features::{MAX_SIDE, Scattering, ScatteringError};

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn compare(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max)
}

#[test]
fn features_of_digits_are_those_of_kymatio() {
    let expected = floats(include_bytes!("reference/digits.f32"));
    let scattering = Scattering::new(28, 28, 2, 8).unwrap();
    assert_eq!(scattering.output(), [81, 7, 7]);
    let mut workspace = scattering.workspace();
    let digits = sphinx_mnist::load().unwrap().test;
    assert_eq!(expected.len(), 4 * 81 * 49);
    for (index, expected) in expected.chunks_exact(81 * 49).enumerate() {
        let mut features = vec![f32::NAN; 81 * 49];
        scattering
            .transform(&digits.pixels(index).unwrap(), &mut workspace, &mut features)
            .unwrap();
        let difference = compare(&features, expected);
        assert!(difference < 2e-5, "largest difference {difference}");
    }
}

#[test]
fn three_scales_odd_angles_and_sides_are_those_of_kymatio() {
    let expected = floats(include_bytes!("reference/odd.f32"));
    let scattering = Scattering::new(34, 41, 3, 5).unwrap();
    assert_eq!(scattering.output(), [91, 4, 5]);
    let pixels = (0..34 * 41).map(|i| (i / 41, i % 41));
    let image: Vec<f32> =
        pixels.map(|(y, x)| ((7 * y + 13 * x + x * y) % 32) as f32 / 31.0).collect();
    let mut features = vec![f32::NAN; 91 * 20];
    scattering.transform(&image, &mut scattering.workspace(), &mut features).unwrap();
    let difference = compare(&features, &expected);
    assert!(difference < 2e-5, "largest difference {difference}");
}

#[test]
fn rejects_sizes_out_of_range() {
    let field = |height, width, scales, angles| match Scattering::new(height, width, scales, angles)
    {
        Err(ScatteringError::Size { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(28, 28, 0, 8), "scales");
    assert_eq!(field(28, 28, 7, 8), "scales");
    assert_eq!(field(28, 28, 2, 0), "angles");
    assert_eq!(field(28, 28, 2, 17), "angles");
    assert_eq!(field(3, 28, 2, 8), "height");
    assert_eq!(field(28, MAX_SIDE + 1, 2, 8), "width");
    assert_eq!(field(1024, 1024, 2, 8), "number of features");
}

#[test]
fn rejects_slices_and_workspaces_of_other_sizes() {
    let scattering = Scattering::new(8, 8, 1, 2).unwrap();
    let (mut workspace, image) = (scattering.workspace(), [0.0; 64]);
    let mut features = vec![0.0; 3 * 16];
    let expected = |what, got, expected| Err(ScatteringError::Length { what, got, expected });
    let result = scattering.transform(&image[1..], &mut workspace, &mut features);
    assert_eq!(result, expected("pixels", 63, 64));
    let result = scattering.transform(&image, &mut workspace, &mut features[1..]);
    assert_eq!(result, expected("features to write", 47, 48));
    let mut other = Scattering::new(8, 8, 1, 3).unwrap().workspace();
    let result = scattering.transform(&image, &mut other, &mut features);
    assert_eq!(result, Err(ScatteringError::Workspace));
}

#[test]
fn debug_shows_sizes_only() {
    let scattering = Scattering::new(8, 8, 1, 2).unwrap();
    assert_eq!(format!("{scattering:?}"), "Scattering(8 x 8, 1 scales, 2 angles)");
    let workspace = scattering.workspace();
    assert_eq!(format!("{workspace:?}"), "Workspace { shape: [8, 8, 1, 2], .. }");
}
