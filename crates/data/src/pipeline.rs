//! The way from a picture to what a network takes: part of a model, the same in training, tests and
//! recognition.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use serde::{Deserialize, Serialize};
use sphinx_network::Shape;

use crate::classes::Classes;
use crate::levels::pixels;
use crate::picture::{Digit, Picture, PictureError, grey};

/// What pictures become before a network gets them.
///
/// It may grow: fields that an older release wrote nothing of have the values that it went by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Channels, rows and columns of the network's input; 1 channel is grey, 3 are colours.
    pub shape: Shape,
    /// What is done with a picture besides bringing it to the shape.
    #[serde(default)]
    pub preparation: Preparation,
    /// How a picture of other proportions is brought to the shape.
    #[serde(default)]
    pub fit: Fit,
    /// How pixels are made of those before.
    #[serde(default)]
    pub resampling: Resampling,
    /// Whether light and dark are exchanged.
    #[serde(default)]
    pub polarity: Polarity,
    /// What the network's outputs stand for.
    pub classes: Classes,
}

/// What is done with a picture besides bringing it to the shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preparation {
    /// Nothing: levels from 0 to 255 become pixels from 0 to 1.
    #[default]
    Plain,
    /// One digit is looked for and brought to MNIST's form ([`Digit::open`]).
    Digit,
}

/// How a picture of other proportions is brought to the shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The largest part in the middle that has the proportions.
    #[default]
    Crop,
    /// The whole picture, black beside it.
    Pad,
    /// The whole picture, stretched.
    Stretch,
}

/// How pixels are made of those before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// Weighted means over triangles.
    #[default]
    Triangle,
    /// The nearest one.
    Nearest,
    /// Lanczos' filter of three lobes.
    Lanczos,
}

/// Whether light and dark are exchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// As they are.
    #[default]
    AsIs,
    /// Black becomes white.
    Inverted,
}

impl Pipeline {
    /// For pictures of things: cut to the proportions in the middle and scaled.
    pub fn plain(shape: Shape, classes: Classes) -> Self {
        Self {
            shape,
            preparation: Preparation::Plain,
            fit: Fit::Crop,
            resampling: Resampling::Triangle,
            polarity: Polarity::AsIs,
            classes,
        }
    }

    /// For pictures of digits, as images of MNIST: the pipeline of every model of 28 × 28 grey
    /// pixels that has none of its own.
    pub fn digit(classes: Classes) -> Self {
        Self { preparation: Preparation::Digit, ..Self::plain(Digit::SHAPE, classes) }
    }

    /// What the network gets of a picture in a file, in levels `[channel][row][column]`.
    ///
    /// # Errors
    /// [`PictureError`], always with the path.
    pub fn open(&self, path: &Path) -> Result<Vec<u8>, PictureError> {
        self.levels(Picture::open(path)?, path)
    }

    /// As [`Pipeline::open`], as pixels in [0, 1].
    ///
    /// # Errors
    /// As [`Pipeline::open`].
    pub fn pixels(&self, path: &Path) -> Result<Vec<f32>, PictureError> {
        self.open(path).map(|levels| pixels(&levels))
    }

    /// As [`Pipeline::open`], of a picture that is read; `path` is what it is called.
    ///
    /// # Errors
    /// [`PictureError::Blank`], [`PictureError::Uneven`] or [`PictureError::Several`] where a digit
    /// is looked for.
    pub fn levels(&self, picture: Picture, path: &Path) -> Result<Vec<u8>, PictureError> {
        let mut levels = match self.preparation {
            Preparation::Plain => self.scaled(picture.into_image()),
            Preparation::Digit => {
                let digit = Digit::of(picture, path)?;
                if self.shape == Digit::SHAPE {
                    digit.levels().to_vec()
                } else {
                    let side = Digit::SIDE as u32;
                    let image = GrayImage::from_raw(side, side, digit.levels().to_vec());
                    self.scaled(image.unwrap_or_default().into())
                }
            }
        };
        self.polarise(&mut levels);
        Ok(levels)
    }

    /// What the network gets of an image of an array, in levels: the image itself if it has the
    /// network's shape, whatever the preparation, as such arrays were prepared for it.
    pub fn array(&self, levels: &[u8], shape: Shape) -> Vec<u8> {
        let mut levels = if shape == self.shape {
            levels.to_vec()
        } else {
            self.scaled(picture_of(levels, shape))
        };
        self.polarise(&mut levels);
        levels
    }

    /// Whether images of the shape are left as they are.
    pub(crate) fn is_as_is(&self) -> bool {
        self.polarity == Polarity::AsIs
    }

    fn polarise(&self, levels: &mut [u8]) {
        if self.polarity == Polarity::Inverted {
            levels.iter_mut().for_each(|level| *level = 255 - *level);
        }
    }

    /// The picture in the shape, channel by channel.
    pub(crate) fn scaled(&self, picture: DynamicImage) -> Vec<u8> {
        let Shape { channels, height, width } = self.shape;
        let size = (width as u32, height as u32);
        if channels == 1 {
            let image = self.fitted(grey(picture).into(), size).into_luma8();
            return image.into_raw();
        }
        let image = self.fitted(on_paper(picture).into(), size).into_rgb8();
        (0..channels)
            .flat_map(|channel| image.pixels().map(move |Rgb(v)| v[channel.min(2)]))
            .collect()
    }

    fn fitted(&self, picture: DynamicImage, (width, height): (u32, u32)) -> DynamicImage {
        let filter = match self.resampling {
            Resampling::Triangle => FilterType::Triangle,
            Resampling::Nearest => FilterType::Nearest,
            Resampling::Lanczos => FilterType::Lanczos3,
        };
        if (picture.width(), picture.height()) == (width, height) {
            return picture;
        }
        match self.fit {
            Fit::Stretch => picture.resize_exact(width, height, filter),
            Fit::Crop => {
                let (x, y, w, h) = middle((picture.width(), picture.height()), (width, height));
                picture.crop_imm(x, y, w, h).resize_exact(width, height, filter)
            }
            Fit::Pad => {
                let scaled = picture.resize(width, height, filter);
                let mut field = DynamicImage::new(width, height, scaled.color());
                let (x, y) = ((width - scaled.width()) / 2, (height - scaled.height()) / 2);
                imageops::replace(&mut field, &scaled, i64::from(x), i64::from(y));
                field
            }
        }
    }
}

/// The largest part in the middle with the proportions of `to`: where it begins, and its size.
fn middle((width, height): (u32, u32), to: (u32, u32)) -> (u32, u32, u32, u32) {
    let scale = |side: u32, by: u32, over: u32| {
        u32::try_from(u64::from(side) * u64::from(by) / u64::from(over.max(1)))
            .unwrap_or(side)
            .max(1)
    };
    let w = scale(height, to.0, to.1).min(width);
    let h = scale(width, to.1, to.0).min(height);
    ((width - w) / 2, (height - h) / 2, w, h)
}

/// Colours, transparency laid on white.
fn on_paper(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let image = picture.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, a] = image.get_pixel(x, y).0.map(u32::from);
        Rgb([r, g, b].map(|value| ((value * a + 255 * (255 - a) + 127) / 255) as u8))
    })
}

/// An image of an array as a picture; more channels than three have no colour.
pub(crate) fn picture_of(levels: &[u8], shape: Shape) -> DynamicImage {
    let Shape { channels, height, width } = shape;
    let area = height * width;
    let at = |channel: usize, x: u32, y: u32| {
        levels.get(channel * area + y as usize * width + x as usize).copied().unwrap_or_default()
    };
    let (w, h) = (width as u32, height as u32);
    if channels == 3 {
        RgbImage::from_fn(w, h, |x, y| Rgb([at(0, x, y), at(1, x, y), at(2, x, y)])).into()
    } else {
        GrayImage::from_fn(w, h, |x, y| image::Luma([at(0, x, y)])).into()
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgba, RgbaImage};

    use super::*;

    /// Left half red, right half blue, 8 × 4.
    fn halves() -> DynamicImage {
        RgbImage::from_fn(8, 4, |x, _| Rgb(if x < 4 { [255, 0, 0] } else { [0, 0, 255] })).into()
    }

    fn plain(channels: usize, height: usize, width: usize) -> Pipeline {
        Pipeline::plain(Shape::new(channels, height, width), Classes::numbered(2))
    }

    fn file(image: &DynamicImage) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("picture");
        image.save_with_format(&path, ImageFormat::Png).unwrap();
        (dir, path)
    }

    #[test]
    fn other_proportions_are_cut_padded_or_stretched() {
        let nearest = Pipeline { resampling: Resampling::Nearest, ..plain(3, 4, 4) };
        let rows = |pipeline: &Pipeline| {
            let levels = pipeline.scaled(halves());
            // The reds of the first and the second row.
            [levels[..4].to_vec(), levels[4..8].to_vec()]
        };
        assert_eq!(rows(&nearest), [[255, 255, 0, 0], [255, 255, 0, 0]]);
        let padded = Pipeline { fit: Fit::Pad, ..nearest.clone() };
        assert_eq!(rows(&padded), [[0, 0, 0, 0], [255, 255, 0, 0]]);
        let tall = Pipeline { shape: Shape::new(3, 4, 2), ..nearest.clone() };
        assert_eq!(tall.scaled(halves())[..4], [255, 0, 255, 0]);
        let stretched = Pipeline { fit: Fit::Stretch, shape: Shape::new(3, 1, 8), ..nearest };
        assert_eq!(stretched.scaled(halves())[..8], [255, 255, 255, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn colours_become_grey_and_light_becomes_dark() {
        let grey = plain(1, 4, 8).scaled(halves());
        // The weights of Rec. 709.
        assert_eq!((grey[0], grey[7]), (54, 18));
        let inverted = Pipeline { polarity: Polarity::Inverted, ..plain(1, 4, 8) };
        let (_dir, path) = file(&halves());
        let levels = inverted.open(&path).unwrap();
        assert_eq!((levels[0], levels[7]), (201, 237));
        assert_eq!(inverted.pixels(&path).unwrap()[0], pixels(&[201])[0]);
        // What cannot be seen is paper.
        let clear = RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, 0]));
        assert_eq!(plain(3, 2, 2).scaled(clear.into()), [255; 12]);
    }

    #[test]
    fn images_of_arrays_stay_as_they_are_in_their_shape() {
        let levels: Vec<u8> = (0..12).collect();
        let shape = Shape::new(3, 2, 2);
        assert_eq!(plain(3, 2, 2).array(&levels, shape), levels);
        let grey = plain(1, 2, 2).array(&[10, 20, 30, 40, 10, 20, 30, 40, 10, 20, 30, 40], shape);
        assert_eq!(grey, [10, 20, 30, 40]);
        let repeated = plain(3, 1, 1).array(&[7], Shape::new(1, 1, 1));
        assert_eq!(repeated, [7, 7, 7]);
    }

    #[test]
    fn digits_are_found_at_every_size_of_the_network() {
        let stroke = |x: u32, y: u32| (90..110).contains(&x) && (20..180).contains(&y);
        let one =
            GrayImage::from_fn(200, 200, |x, y| image::Luma([if stroke(x, y) { 0 } else { 255 }]));
        let (_dir, path) = file(&one.into());
        let digit = Pipeline::digit(Classes::numbered(10)).open(&path).unwrap();
        assert!(digit[14 * 28 + 14] > 200 && digit[0] == 0);
        let half =
            Pipeline { shape: Shape::new(1, 14, 14), ..Pipeline::digit(Classes::numbered(10)) };
        let small = half.open(&path).unwrap();
        assert!(small.len() == 196 && small[7 * 14 + 7] > 100 && small[0] == 0);
    }
}
