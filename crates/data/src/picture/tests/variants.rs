//! Pictures of digits as people make them: read as the original is, or refused for a reason.

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

/// Digits of each variant.
const DIGITS: usize = 20;
/// Images that a digit is compared with.
const KNOWN: usize = 60_000;
/// Digits that have to be read right.
const RIGHT: usize = 19;

/// The class of the most alike training image.
struct Neighbours(Dataset);

impl Neighbours {
    fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist");
        Self(mnist::open(path.as_ref()).unwrap().train)
    }

    fn class(&self, digit: &[u8]) -> u8 {
        let distance = |index: usize| -> i32 {
            let pairs = self.0.levels(index).unwrap().iter().zip(digit);
            pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2)).sum()
        };
        self.0.labels()[(0..KNOWN).min_by_key(|index| distance(*index)).unwrap()]
    }
}

/// What 20 pictures come to: read right, read wrong, refused.
#[derive(Debug, Default, PartialEq)]
struct Score {
    right: usize,
    wrong: usize,
    refused: usize,
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A smooth enlargement, white on black.
fn big(digit: &[u8]) -> GrayImage {
    imageops::resize(&field(digit), 280, 280, FilterType::CatmullRom)
}

fn inverted(image: &GrayImage) -> GrayImage {
    let mut image = image.clone();
    imageops::invert(&mut image);
    image
}

fn jpeg(image: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    bytes
}

/// A JPEG whose EXIF data say how it is to be turned.
fn exif(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let tiff = [
        b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
        &[orientation, 0, 0, 0, 0, 0, 0],
    ];
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.set_exif_metadata(tiff.concat()).unwrap();
    image.write_with_encoder(encoder).unwrap();
    bytes
}

/// 16 bits a sample.
fn deep(image: &GrayImage, times: u16) -> Vec<u8> {
    let samples = image.iter().map(|level| u16::from(*level) * times).collect();
    let image =
        image::ImageBuffer::<Luma<u16>, _>::from_raw(image.width(), image.height(), samples);
    encoded(&image.unwrap().into(), ImageFormat::Png)
}

fn alpha(ink: u8, cover: &GrayImage) -> Vec<u8> {
    let pixel = |x, y| LumaA([ink, cover.get_pixel(x, y).0[0]]);
    let image = image::ImageBuffer::from_fn(cover.width(), cover.height(), pixel);
    encoded(&DynamicImage::from(image), ImageFormat::Png)
}

fn coloured(cover: &GrayImage, ink: [f32; 3]) -> Vec<u8> {
    let image = RgbImage::from_fn(cover.width(), cover.height(), |x, y| {
        let cover = f32::from(cover.get_pixel(x, y).0[0]);
        Rgb(ink.map(|part| (255.0 - cover * part) as u8))
    });
    encoded(&image.into(), ImageFormat::Png)
}

/// Only the digit, in a square of a side.
fn filling(digit: &[u8], side: u32) -> GrayImage {
    let inked = (0..784).filter(|i| digit[*i] > 40);
    let (xs, ys): (Vec<usize>, Vec<usize>) = inked.map(|i| (i % 28, i / 28)).unzip();
    let (left, top) = (*xs.iter().min().unwrap() as u32, *ys.iter().min().unwrap() as u32);
    let w = *xs.iter().max().unwrap() as u32 + 1 - left;
    let h = *ys.iter().max().unwrap() as u32 + 1 - top;
    let mut square = GrayImage::new(w.max(h), w.max(h));
    let cropped = imageops::crop_imm(&field(digit), left, top, w, h).to_image();
    let (x, y) = ((w.max(h) - w) / 2, (w.max(h) - h) / 2);
    imageops::replace(&mut square, &cropped, i64::from(x), i64::from(y));
    imageops::resize(&square, side, side, FilterType::CatmullRom)
}

fn moved(digit: &[u8], by: usize) -> GrayImage {
    GrayImage::from_fn(28, 28, |x, y| {
        let from = |at: u32| (at as usize).checked_sub(by);
        Luma([from(x).zip(from(y)).map_or(0, |(x, y)| digit[y * 28 + x])])
    })
}

/// `image` with what `paint` says painted over it.
fn painted(image: &GrayImage, paint: impl Fn(u32, u32) -> Option<u8>) -> GrayImage {
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        paint(x, y).map_or(*image.get_pixel(x, y), |level| Luma([level]))
    })
}

/// The variants: name, pictures of a digit and the next, and whether a refusal will do.
type Variant = (&'static str, fn(&[u8], &[u8]) -> Vec<u8>, bool);

fn png_of(image: &GrayImage) -> Vec<u8> {
    png(image)
}

const VARIANTS: &[Variant] = &[
    ("original", |d, _| png_of(&field(d)), false),
    ("inverted28", |d, _| png_of(&inverted(&field(d))), false),
    ("white on black", |d, _| png_of(&big(d)), false),
    ("black on white", |d, _| png_of(&inverted(&big(d))), false),
    ("black on transparent", |d, _| alpha(0, &big(d)), false),
    ("white on transparent", |d, _| alpha(255, &big(d)), false),
    (
        "opaque RGBA",
        |d, _| {
            let grey = inverted(&big(d));
            let image = RgbaImage::from_fn(280, 280, |x, y| {
                let [level] = grey.get_pixel(x, y).0;
                Rgba([level, level, level, 255])
            });
            encoded(&image.into(), ImageFormat::Png)
        },
        false,
    ),
    ("16 bits", |d, _| deep(&inverted(&big(d)), 257), false),
    ("12 of 16 bits on black", |d, _| deep(&big(d), 16), false),
    ("8 of 16 bits on black", |d, _| deep(&big(d), 1), false),
    ("JPEG", |d, _| jpeg(&inverted(&big(d)).into(), 80), false),
    (
        "colour JPEG",
        |d, _| jpeg(&DynamicImage::from(inverted(&big(d))).into_rgb8().into(), 80),
        false,
    ),
    (
        "WebP",
        |d, _| {
            encoded(&DynamicImage::from(inverted(&big(d))).into_rgb8().into(), ImageFormat::WebP)
        },
        false,
    ),
    ("BMP", |d, _| encoded(&inverted(&big(d)).into(), ImageFormat::Bmp), false),
    ("TIFF", |d, _| encoded(&inverted(&big(d)).into(), ImageFormat::Tiff), false),
    (
        "GIF",
        |d, _| encoded(&DynamicImage::from(inverted(&big(d))).into_rgb8().into(), ImageFormat::Gif),
        false,
    ),
    (
        "two levels",
        |d, _| {
            let big = big(d);
            let level = |x, y| if big.get_pixel(x, y).0[0] > 128 { 0 } else { 255 };
            png_of(&painted(&big, |x, y| Some(level(x, y))))
        },
        false,
    ),
    ("EXIF 3", |d, _| exif(&imageops::rotate180(&inverted(&big(d))).into(), 3), false),
    ("EXIF 6", |d, _| exif(&imageops::rotate270(&inverted(&big(d))).into(), 6), false),
    ("EXIF 8", |d, _| exif(&imageops::rotate90(&inverted(&big(d))).into(), 8), false),
    ("EXIF 2", |d, _| exif(&imageops::flip_horizontal(&inverted(&big(d))).into(), 2), false),
    ("moved at 28", |d, _| png_of(&moved(d, 4)), false),
    (
        "moved at 280",
        |d, _| png_of(&imageops::resize(&moved(d, 4), 280, 280, FilterType::CatmullRom)),
        false,
    ),
    ("fills 28", |d, _| png_of(&filling(d, 28)), false),
    ("fills 280", |d, _| png_of(&filling(d, 280)), false),
    (
        "frame of the cell",
        |d, _| {
            let edge = |at: u32| !(6..274).contains(&at);
            png_of(&painted(&inverted(&big(d)), |x, y| (edge(x) || edge(y)).then_some(20)))
        },
        true,
    ),
    (
        "frame inside of the picture",
        |d, _| {
            let line = |at: u32| (8..11).contains(&at) || (269..272).contains(&at);
            let within = |at: u32| (8..272).contains(&at);
            png_of(&painted(&inverted(&big(d)), |x, y| {
                (line(x) && within(y) || line(y) && within(x)).then_some(20)
            }))
        },
        true,
    ),
    (
        "line at the left",
        |d, _| png_of(&painted(&inverted(&big(d)), |x, _| (x < 4).then_some(60))),
        true,
    ),
    (
        "ruled paper",
        |d, _| png_of(&painted(&inverted(&big(d)), |_, y| (y % 70 == 35).then_some(120))),
        true,
    ),
    (
        "specks",
        |d, _| {
            png_of(&painted(&inverted(&big(d)), |x, y| ((x * 7 + y * 31) % 251 == 0).then_some(30)))
        },
        false,
    ),
    (
        "low contrast",
        |d, _| {
            let grey = big(d);
            png_of(&GrayImage::from_fn(280, 280, |x, y| {
                Luma([225 - (u32::from(grey.get_pixel(x, y).0[0]) * 30 / 255) as u8])
            }))
        },
        false,
    ),
    ("blue pen", |d, _| coloured(&big(d), [0.9, 0.8, 0.1]), false),
    ("yellow marker", |d, _| coloured(&big(d), [0.0, 0.05, 0.95]), false),
    (
        "wide sheet",
        |d, _| {
            let mut sheet = GrayImage::from_pixel(700, 280, Luma([255]));
            imageops::replace(&mut sheet, &inverted(&big(d)), 60, 0);
            png_of(&sheet)
        },
        false,
    ),
    (
        "dark on black",
        |d, _| png_of(&GrayImage::from_fn(28, 28, |x, y| Luma([d[(y * 28 + x) as usize] / 3]))),
        false,
    ),
    (
        "tiny in a photograph",
        |d, _| {
            let mut sheet = GrayImage::from_pixel(2000, 2000, Luma([250]));
            let digit = imageops::resize(&field(d), 60, 60, FilterType::CatmullRom);
            let digit = painted(&inverted(&digit), |_, _| None);
            let digit =
                GrayImage::from_fn(60, 60, |x, y| Luma([digit.get_pixel(x, y).0[0].min(250)]));
            imageops::replace(&mut sheet, &digit, 900, 500);
            png_of(&sheet)
        },
        false,
    ),
    (
        "two digits",
        |d, next| {
            let mut two = GrayImage::new(560, 280);
            imageops::replace(&mut two, &inverted(&big(d)), 0, 0);
            imageops::replace(&mut two, &inverted(&big(next)), 280, 0);
            png_of(&two)
        },
        true,
    ),
    (
        "shadow over half",
        |d, _| {
            let grey = inverted(&big(d));
            png_of(&GrayImage::from_fn(280, 280, |x, y| {
                let light = 1.0 - 0.7 * x as f32 / 280.0;
                Luma([(f32::from(grey.get_pixel(x, y).0[0]) * light) as u8])
            }))
        },
        true,
    ),
];

#[test]
fn variants_are_read_as_the_original_is() {
    let (test, known, dir) = (test_set(), Neighbours::load(), TempDir::new().unwrap());
    let mut failed = Vec::new();
    for (name, variant, may_refuse) in VARIANTS {
        let mut score = Score::default();
        for index in 0..DIGITS {
            let (digit, next) = (test.levels(index).unwrap(), test.levels(index + 1).unwrap());
            let path = saved(&dir, "picture", &variant(digit, next));
            match Digit::open(&path) {
                Ok(digit) if known.class(digit.levels()) == test.labels()[index] => {
                    score.right += 1
                }
                Ok(_) => score.wrong += 1,
                Err(_) => score.refused += 1,
            }
        }
        println!("{name:28} {score:?}");
        let enough = if *may_refuse { score.right + score.refused } else { score.right };
        if enough < RIGHT {
            failed.push(format!("{name}: {score:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_is_not_one_digit_is_refused_by_what_it_is() {
    let (test, dir) = (test_set(), TempDir::new().unwrap());
    let of = |name: &str| VARIANTS.iter().find(|variant| variant.0 == name).unwrap().1;
    for index in 0..DIGITS {
        let (digit, next) = (test.levels(index).unwrap(), test.levels(index + 1).unwrap());
        let path = saved(&dir, "two.png", &of("two digits")(digit, next));
        let outcome = Digit::open(&path);
        assert!(matches!(outcome, Err(PictureError::Several { .. })), "{index}: {outcome:?}");
        let path = saved(&dir, "shadow.png", &of("shadow over half")(digit, next));
        let outcome = Digit::open(&path);
        assert!(matches!(outcome, Err(PictureError::Uneven { .. })), "{index}: {outcome:?}");
    }
}

/// A CMYK picture would need an encoder of its own; that of the decoder's own making is enough to
/// show that inks are not taken for light.
#[test]
fn formats_without_alpha_or_colour_say_so() {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.write_image(&[255; 28 * 28], 28, 28, ExtendedColorType::L8).unwrap();
    let dir = TempDir::new().unwrap();
    let path = saved(&dir, "white.jpg", &bytes);
    assert!(!Picture::open(&path).unwrap().has_colour());
    assert!(matches!(Digit::open(&path), Err(PictureError::Blank { .. })));
}
