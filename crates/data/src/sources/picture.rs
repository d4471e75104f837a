//! A picture of a digit, made into an image as MNIST's were.

mod normalise;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageReader, Luma};

use self::normalise::{Blank, normalise};
use super::mnist::SIDE;
use crate::levels::pixels;

/// Largest picture decoded: 64 megapixels, some 256 MB decoded. A small file can announce more
/// pixels than the machine has memory (a decompression bomb).
const MAX_PIXELS: u64 = 64_000_000;
/// Longer side worked on: enough for a digit that fills a tenth of the picture.
const WORKING_SIDE: u32 = 512;

/// A digit of 28 × 28 grey levels, white (255) on black (0), as MNIST has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Digit([u8; SIDE * SIDE]);

impl Digit {
    /// Reads a PNG or JPEG of any size and brings it to MNIST's form: grey, white on black, the
    /// digit's longer side 20 pixels, its centre of mass in the centre of the field.
    ///
    /// Dark-on-light pictures are inverted, transparent ones put on paper, photographs turned as
    /// their EXIF data say, specks apart from the digit dropped. A picture that already is
    /// 28 × 28 on black is taken as it is. The picture should hold one digit on an even ground.
    ///
    /// # Errors
    /// [`DigitError`], always with the path; nothing above 64 megapixels is decoded.
    pub fn open(path: &Path) -> Result<Self, DigitError> {
        let grey = grey(decode(path)?);
        if let Some(digit) = as_is(&grey) {
            return Ok(digit);
        }
        normalise(&working_size(grey))
            .map(Self)
            .map_err(|Blank| DigitError::Blank { path: path.to_owned() })
    }

    /// The levels, row-major, 0 = black, 255 = white.
    pub fn levels(&self) -> &[u8; SIDE * SIDE] {
        &self.0
    }

    /// The digit as pixels in [0, 1], row-major, 0 = black.
    pub fn pixels(&self) -> Vec<f32> {
        pixels(&self.0)
    }
}

/// The picture is private.
impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(..)")
    }
}

/// A file that holds no digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigitError {
    /// The operating system refused to read the file.
    #[error("{}: {kind}", path.display())]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        kind: ErrorKind,
    },
    /// Not a PNG or JPEG, or a damaged one.
    #[error("{}: not a readable PNG or JPEG image: {cause}", path.display())]
    NotAnImage {
        /// File concerned.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// More pixels than are decoded.
    #[error(
        "{}: {width}x{height} is more than {} megapixels; scale the image down",
        path.display(),
        max_pixels / 1_000_000
    )]
    TooLarge {
        /// File concerned.
        path: PathBuf,
        /// Columns announced.
        width: u32,
        /// Rows announced.
        height: u32,
        /// Pixels allowed.
        max_pixels: u64,
    },
    /// Nothing stands out from the ground.
    #[error("{}: the image is blank, no digit stands out from its ground", path.display())]
    Blank {
        /// File concerned.
        path: PathBuf,
    },
}

fn decode(path: &Path) -> Result<DynamicImage, DigitError> {
    let io = |e: std::io::Error| DigitError::Io { path: path.to_owned(), kind: e.kind() };
    let unreadable = |e: ImageError| not_an_image(path, &e);
    // The contents decide, not the extension.
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let path = path.to_owned();
        return Err(DigitError::TooLarge { path, width, height, max_pixels: MAX_PIXELS });
    }
    let orientation = decoder.orientation().map_err(unreadable)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn not_an_image(path: &Path, error: &ImageError) -> DigitError {
    let path = path.to_owned();
    match error {
        // A truncated file surfaces as an I/O error of the decoder, without a system's code.
        ImageError::IoError(e) if e.raw_os_error().is_some() => {
            DigitError::Io { path, kind: e.kind() }
        }
        ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::Limits(_)
        | ImageError::Unsupported(_)
        | ImageError::IoError(_) => DigitError::NotAnImage { path, cause: error.to_string() },
    }
}

/// Grey levels, transparency laid on white; on black if nothing shows on white.
fn grey(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    let on = |paper: u8| {
        GrayImage::from_fn(image.width(), image.height(), |x, y| {
            let [value, alpha] = image.get_pixel(x, y).0.map(u32::from);
            let mixed = (value * alpha + u32::from(paper) * (255 - alpha) + 127) / 255;
            Luma([u8::try_from(mixed).unwrap_or(u8::MAX)])
        })
    };
    let white = on(255);
    if white.iter().all(|&v| v == 255) { on(0) } else { white }
}

/// The picture itself if it has MNIST's size and stands on black.
fn as_is(grey: &GrayImage) -> Option<Digit> {
    let pixels = <[u8; SIDE * SIDE]>::try_from(grey.as_raw().as_slice()).ok()?;
    let side = u32::try_from(SIDE).ok()?;
    if grey.dimensions() != (side, side) {
        return None;
    }
    let border = |i: &usize| {
        let (y, x) = (i / SIDE, i % SIDE);
        x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1
    };
    let border: Vec<u8> = (0..SIDE * SIDE).filter(border).map(|i| pixels[i]).collect();
    let black = border.iter().filter(|v| **v == 0).count();
    // A few strokes of MNIST reach the border.
    let on_black = black * 4 >= border.len() * 3;
    (on_black && pixels.iter().any(|v| *v >= 128)).then_some(Digit(pixels))
}

fn working_size(grey: GrayImage) -> GrayImage {
    let (width, height) = grey.dimensions();
    let longer = width.max(height);
    if longer <= WORKING_SIDE {
        return grey;
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(WORKING_SIDE) / u64::from(longer);
        u32::try_from(side).unwrap_or(WORKING_SIDE).max(1)
    };
    image::imageops::thumbnail(&grey, scaled(width), scaled(height))
}

#[cfg(test)]
mod tests;
