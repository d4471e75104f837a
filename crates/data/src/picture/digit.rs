//! A picture of a digit, made into an image as MNIST's were.

use std::fmt;
use std::path::Path;

use image::{DynamicImage, GrayImage, Luma};
use sphinx_network::Shape;

use super::lines::without_lines;
use super::normalise::{NoDigit, SIDE, normalise};
use super::{Picture, PictureError};
use crate::levels::pixels;

/// Longer side worked on: enough for a digit that fills a tenth of the picture.
const WORKING_SIDE: u32 = 512;
/// Longer side of the digit in an image of MNIST.
const BOX: usize = 20;
/// How far a digit's centre of mass is from the middle, 14, in images of MNIST (at most a half, and
/// some room for rounding).
const OFF_CENTRE: f32 = 0.6;

/// A digit of 28 × 28 grey levels, white (255) on black (0), as MNIST has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Digit([u8; SIDE * SIDE]);

impl Digit {
    /// Rows and columns.
    pub const SIDE: usize = SIDE;
    /// Shape, as that of an image of MNIST.
    pub const SHAPE: Shape = Shape::new(1, SIDE, SIDE);

    /// Reads a picture of any size and brings it to MNIST's form: grey, white on black, the digit's
    /// longer side 20 pixels, its centre of mass in the centre of the field.
    ///
    /// Dark-on-light pictures are inverted, transparent ones put on paper, photographs turned as
    /// their EXIF data say; ruled lines, frames of form cells and specks apart from the digit are
    /// dropped. A picture that already has MNIST's form is taken as it is. The picture should hold
    /// one digit on an even ground.
    ///
    /// # Errors
    /// [`PictureError`], always with the path.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        Self::of(Picture::open(path)?, path)
    }

    /// As [`Digit::open`], of a picture that is read; `path` is what it is called.
    ///
    /// # Errors
    /// [`PictureError::Blank`], [`PictureError::Uneven`] or [`PictureError::Several`].
    pub fn of(picture: Picture, path: &Path) -> Result<Self, PictureError> {
        let grey = grey(picture.into_image());
        if let Some(digit) = as_is(&grey) {
            return Ok(digit);
        }
        let path = || path.to_owned();
        normalise(&without_lines(working_size(grey))).map(Self).map_err(|none| match none {
            NoDigit::Blank => PictureError::Blank { path: path() },
            NoDigit::Uneven => PictureError::Uneven { path: path() },
            NoDigit::Several => PictureError::Several { path: path() },
        })
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

/// Grey levels, transparency laid on white; on black if nothing shows on white.
pub(crate) fn grey(image: DynamicImage) -> GrayImage {
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

/// The picture itself if it has MNIST's form.
fn as_is(grey: &GrayImage) -> Option<Digit> {
    let levels = <[u8; SIDE * SIDE]>::try_from(grey.as_raw().as_slice()).ok()?;
    (grey.width() as usize == SIDE && is_digit_form(&levels)).then_some(Digit(levels))
}

/// Whether levels are those of an image of MNIST: a digit in full ink on black that fits a field of
/// 20 × 20 and whose centre of mass is in the centre.
pub(crate) fn is_digit_form(levels: &[u8; SIDE * SIDE]) -> bool {
    let ink = || levels.iter().enumerate().filter(|(_, level)| **level > 0);
    let span = |places: &[usize]| match (places.iter().min(), places.iter().max()) {
        (Some(low), Some(high)) => high - low + 1,
        _ => 0,
    };
    let rows: Vec<usize> = ink().map(|(index, _)| index / SIDE).collect();
    let columns: Vec<usize> = ink().map(|(index, _)| index % SIDE).collect();
    let mass: f32 = ink().map(|(_, level)| f32::from(*level)).sum();
    let centred = |places: &[usize]| {
        let moments = ink().zip(places).map(|((_, level), at)| *at as f32 * f32::from(*level));
        (moments.sum::<f32>() / mass - SIDE as f32 / 2.0).abs() <= OFF_CENTRE
    };
    let longer = span(&rows).max(span(&columns));
    let full = levels.iter().any(|level| *level >= 128);
    full && longer <= BOX && centred(&rows) && centred(&columns)
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
