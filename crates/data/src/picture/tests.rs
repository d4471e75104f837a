mod files;
mod variants;

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ImageFormat, LumaA};
use tempfile::TempDir;

use image::{GrayImage, Luma};

use super::*;
use crate::dataset::Dataset;
use crate::sources::mnist;

fn test_set() -> Dataset {
    mnist::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist").as_ref()).unwrap().test
}

fn field(pixels: &[u8]) -> GrayImage {
    GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap()
}

/// `digit` scaled up by `factor` and pasted off-centre on a `width` × `height` ground.
fn picture(digit: &[u8], factor: f32, width: u32, height: u32) -> GrayImage {
    let side = (28.0 * factor) as u32;
    let scaled = imageops::resize(&field(digit), side, side, FilterType::CatmullRom);
    let mut ground = GrayImage::new(width, height);
    imageops::replace(&mut ground, &scaled, i64::from((width - side) / 5), 3);
    ground
}

/// Deterministic Gaussian-like noise (sum of 12 uniforms), and one speck of dust.
fn add_noise(image: &mut GrayImage, sigma: f32, seed: u64) {
    let mut state = seed;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    for value in image.iter_mut() {
        let noise = (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
        *value = (f32::from(*value) + sigma * noise).clamp(0.0, 255.0) as u8;
    }
}

fn correlation(a: &[u8], b: &[u8]) -> f64 {
    let mean = |v: &[u8]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / v.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x) - mean_a, f64::from(*y) - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}

/// Correlation, up to one pixel of shift: MNIST's centre of mass is rounded to a whole pixel, and
/// where it lay between two the resampled picture may round to the other one.
fn likeness(got: &[u8; 784], digit: &[u8]) -> f64 {
    let shifted = |dx: i32, dy: i32| -> Vec<u8> {
        let inside = |v: i32| (0..28).contains(&v);
        (0..784)
            .map(|i| (i % 28 + dx, i / 28 + dy))
            .map(|(x, y)| if inside(x) && inside(y) { got[(y * 28 + x) as usize] } else { 0 })
            .collect()
    };
    (0..9)
        .map(|i| correlation(&shifted(i % 3 - 1, i / 3 - 1), digit))
        .fold(f64::NEG_INFINITY, f64::max)
}

fn saved(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn png(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Mean and least correlation of 200 test digits with what comes back of their pictures.
fn round_trip(make: impl Fn(&[u8], usize) -> GrayImage) -> (f64, f64) {
    let set = test_set();
    let dir = TempDir::new().unwrap();
    let (mut sum, mut least) = (0.0, f64::INFINITY);
    for i in 0..200 {
        let digit = set.levels(i).unwrap();
        let path = saved(&dir, "digit.png", &png(&make(digit, i)));
        let r = likeness(Digit::open(&path).unwrap().levels(), digit);
        sum += r;
        least = least.min(r);
    }
    println!("mean {:.4}, least {least:.4}", sum / 200.0);
    (sum / 200.0, least)
}

#[test]
fn digits_come_back_from_pictures_of_odd_sizes() {
    let (mean, least) = round_trip(|digit, i| {
        let factor = 0.9 + (i % 37) as f32 * 0.31;
        let side = (28.0 * factor) as u32;
        picture(digit, factor, side + 17 + i as u32, side + 40)
    });
    assert!(mean > 0.965 && least > 0.85, "mean {mean}, least {least}");
}

#[test]
fn digits_come_back_from_noisy_dark_on_light_pictures() {
    let (mean, least) = round_trip(|digit, i| {
        let mut image = picture(digit, 7.3, 251, 317);
        for value in image.iter_mut() {
            // Grey pencil on yellowed paper: contrast 150, nothing at the ends of the scale.
            *value = 220 - (u32::from(*value) * 150 / 255) as u8;
        }
        add_noise(&mut image, 6.0, i as u64);
        for (x, y) in [(240, 300), (241, 300), (240, 301)] {
            image.put_pixel(x, y, Luma([20]));
        }
        image
    });
    assert!(mean > 0.965 && least > 0.83, "mean {mean}, least {least}");
}

#[test]
fn digits_come_back_from_large_jpegs() {
    let set = test_set();
    let dir = TempDir::new().unwrap();
    for i in 0..10 {
        let mut image = picture(set.levels(i).unwrap(), 40.0, 1999, 1301);
        imageops::invert(&mut image);
        let mut bytes = Vec::new();
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 60)).unwrap();
        // The extension does not matter.
        let path = saved(&dir, "digit.txt", &bytes);
        let r = likeness(Digit::open(&path).unwrap().levels(), set.levels(i).unwrap());
        assert!(r > 0.93, "digit {i}: {r}");
    }
}

#[test]
fn transparent_pictures_are_read_dark_or_light() {
    let set = test_set();
    let dir = TempDir::new().unwrap();
    for ink in [0, 255] {
        let grey = picture(set.levels(0).unwrap(), 5.0, 200, 180);
        let image =
            image::ImageBuffer::from_fn(200, 180, |x, y| LumaA([ink, grey.get_pixel(x, y).0[0]]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        let path = saved(&dir, "digit.png", &bytes.into_inner());
        let r = likeness(Digit::open(&path).unwrap().levels(), set.levels(0).unwrap());
        assert!(r > 0.95, "ink {ink}: {r}");
    }
}

#[test]
fn mnist_images_pass_unchanged() {
    let set = test_set();
    let dir = TempDir::new().unwrap();
    for i in 0..50 {
        let digit = set.levels(i).unwrap();
        let path = saved(&dir, "digit.png", &png(&field(digit)));
        assert!(Digit::open(&path).unwrap().levels() == digit, "image {i}");
    }
}

#[test]
fn rejects_a_text_file_and_a_missing_file() {
    let dir = TempDir::new().unwrap();
    let path = saved(&dir, "digit.png", b"this is a text, whatever its name says");
    let Err(PictureError::NotAnImage { path: named, .. }) = Digit::open(&path) else {
        panic!("text accepted")
    };
    assert_eq!(named, path);
    let path = dir.path().join("none.png");
    assert_eq!(
        Digit::open(&path),
        Err(PictureError::Io { path: path.clone(), kind: ErrorKind::NotFound })
    );
}

#[test]
fn rejects_truncated_images() {
    let set = test_set();
    let dir = TempDir::new().unwrap();
    let image = picture(set.levels(0).unwrap(), 6.0, 200, 200);
    let whole = png(&image);
    for len in [0, 4, 20, whole.len() / 2, whole.len() - 20, whole.len() - 1] {
        let path = saved(&dir, "digit.png", &whole[..len]);
        let outcome = Digit::open(&path);
        let refused = matches!(
            outcome,
            Err(PictureError::NotAnImage { .. } | PictureError::Truncated { .. })
        );
        assert!(refused, "{len}: {outcome:?}");
    }
}

#[test]
fn rejects_decompression_bombs_by_their_header() {
    // A valid header announcing 20 000 x 20 000 pixels, and nothing behind it.
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = b"IHDR".to_vec();
    header.extend([20_000_u32.to_be_bytes(), 20_000_u32.to_be_bytes()].concat());
    header.extend([8, 0, 0, 0, 0]);
    bytes.extend(13_u32.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    bytes.extend(header);
    bytes.extend(crc.sum().to_be_bytes());
    bytes.extend(*b"\x00\x00\x00\x01IDAT\x78");
    let dir = TempDir::new().unwrap();
    let path = saved(&dir, "bomb.png", &bytes);
    assert_eq!(
        Digit::open(&path),
        Err(PictureError::TooLarge {
            path: path.clone(),
            width: 20_000,
            height: 20_000,
            max_pixels: 64_000_000
        })
    );
}

#[test]
fn rejects_blank_images_with_and_without_noise() {
    let dir = TempDir::new().unwrap();
    for (side, level, sigma) in [(28, 0, 0.0), (90, 255, 0.0), (300, 128, 8.0), (64, 20, 15.0)] {
        let mut image = GrayImage::from_pixel(side, side, Luma([level]));
        add_noise(&mut image, sigma, 5);
        let path = saved(&dir, "blank.png", &png(&image));
        assert_eq!(
            Digit::open(&path),
            Err(PictureError::Blank { path: path.clone() }),
            "side {side} level {level} sigma {sigma}"
        );
    }
}

#[test]
fn debug_shows_nothing() {
    let blank = Picture(GrayImage::new(3, 2).into());
    assert_eq!(format!("{blank:?}"), "Picture(3x2)");
    let digit = Picture(field(test_set().levels(0).unwrap()).into());
    assert_eq!(format!("{:?}", Digit::of(digit, "x".as_ref()).unwrap()), "Digit(..)");
}
