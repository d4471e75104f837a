//! A picture as cameras, scanners and programs write it.

mod complete;
mod depth;
mod digit;
mod jpeg;
mod lines;
mod normalise;

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use image::{DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageReader};

use sphinx_network::Shape;

pub use digit::Digit;
pub(crate) use digit::{grey, is_digit_form};

use crate::origin::{Origin, origin};
use crate::shown::shown;

/// Largest picture decoded: 64 megapixels, some 256 MB decoded. A small file can announce more
/// pixels than the machine has memory (a decompression bomb).
const MAX_PIXELS: u64 = 64_000_000;
/// Longest file read.
const MAX_FILE: u64 = 256 << 20;

/// A decoded picture, turned as its EXIF data say, of 8 bits a sample. `Debug` shows its size.
pub struct Picture(DynamicImage);

/// What a picture's header says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Columns, before any rotation.
    pub width: u32,
    /// Rows, before any rotation.
    pub height: u32,
    /// Whether it has colours.
    pub colour: bool,
}

impl Picture {
    /// Reads a PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame), told apart by its contents,
    /// from a file, a pipe or a device.
    ///
    /// # Errors
    /// [`PictureError`], always with the path; a file that ends early or is damaged is refused
    /// whatever could be made of it, and nothing above 64 megapixels is decoded.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        Self::decode(&read(path)?, path)
    }

    /// As [`Picture::open`], of the bytes of a file.
    ///
    /// # Errors
    /// As [`Picture::open`]; `path` is what it is called.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self, PictureError> {
        let format = guess(bytes, path)?;
        // Its size first: of a bomb that says more than what it lacks.
        let size = measured(bytes, format, path).map(|_| ());
        if let Err(large @ PictureError::TooLarge { .. }) = size {
            return Err(large);
        }
        let end = complete::check(bytes, format)
            .map_err(|cause| PictureError::Truncated { path: path.to_owned(), cause })?;
        let bytes = &bytes[..end];
        let (image, orientation) = if format == ImageFormat::Jpeg {
            size?;
            let decoded = jpeg::decode(bytes);
            decoded.map_err(|cause| PictureError::NotAnImage { path: path.to_owned(), cause })?
        } else {
            let mut decoder = decoder(bytes, format, path)?;
            let orientation = decoder.orientation().map_err(|e| unreadable(path, &e))?;
            let image = DynamicImage::from_decoder(decoder).map_err(|e| unreadable(path, &e))?;
            (image, orientation)
        };
        let mut image = depth::eight_bits(image);
        image.apply_orientation(orientation);
        Ok(Self(image))
    }

    /// What the header of a file says.
    ///
    /// # Errors
    /// As [`Picture::open`], of headers alone.
    pub fn measure(path: &Path) -> Result<Measured, PictureError> {
        let bytes = read(path)?;
        measured(&bytes, guess(&bytes, path)?, path)
    }

    /// Columns and rows.
    pub fn dimensions(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// Whether it has colours, by its form: a grey picture may be stored as a coloured one.
    pub fn has_colour(&self) -> bool {
        self.0.color().has_color()
    }

    /// What its pixels are, whatever pipeline they go through: a grey picture has the origin of the
    /// same levels in an array.
    pub(crate) fn origin(&self) -> Origin {
        let (width, height) = self.0.dimensions();
        let colours = self.0.color();
        let samples = match (colours.has_color(), colours.has_alpha()) {
            (false, false) => self.0.to_luma8().into_raw(),
            (false, true) => self.0.to_luma_alpha8().into_raw(),
            (true, false) => self.0.to_rgb8().into_raw(),
            (true, true) => self.0.to_rgba8().into_raw(),
        };
        let (width, height) = (width as usize, height as usize);
        let channels = samples.len() / (width * height).max(1);
        let plane = |channel: usize| samples.iter().skip(channel).step_by(channels.max(1)).copied();
        let planes: Vec<u8> = (0..channels).flat_map(plane).collect();
        origin(Shape::new(channels, height, width), &planes)
    }

    pub(crate) fn into_image(self) -> DynamicImage {
        self.0
    }
}

/// The picture is private.
impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (width, height) = self.dimensions();
        write!(f, "Picture({width}x{height})")
    }
}

/// A file that holds no picture, or none of a digit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The operating system refused to read the file.
    #[error("{}: {kind}", shown(path))]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        kind: ErrorKind,
    },
    /// Not a picture of a known form, or a damaged one.
    #[error("{}: not a readable PNG, JPEG, WebP, BMP, TIFF or GIF picture: {cause}", shown(path))]
    NotAnImage {
        /// File concerned.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// The file ends before the picture does.
    #[error("{}: the picture is cut off ({cause}); fetch the file again", shown(path))]
    Truncated {
        /// File concerned.
        path: PathBuf,
        /// What is missing.
        cause: &'static str,
    },
    /// More bytes than are read.
    #[error("{}: the file is longer than {} MB", shown(path), MAX_FILE >> 20)]
    LongFile {
        /// File concerned.
        path: PathBuf,
    },
    /// More pixels than are decoded.
    #[error(
        "{}: {width}x{height} is more than {} megapixels; scale the image down",
        shown(path),
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
    #[error("{}: the image is blank, no digit stands out from its ground", shown(path))]
    Blank {
        /// File concerned.
        path: PathBuf,
    },
    /// Shadows are as dark as ink.
    #[error(
        "{}: the light is uneven, its shadows are as strong as any stroke; light the paper evenly or \
         crop the picture to the digit",
        shown(path)
    )]
    Uneven {
        /// File concerned.
        path: PathBuf,
    },
    /// More than one digit.
    #[error("{}: more than one digit; crop the picture to one", shown(path))]
    Several {
        /// File concerned.
        path: PathBuf,
    },
}

/// The bytes of a file, a pipe or a device.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PictureError> {
    let io = |e: std::io::Error| PictureError::Io { path: path.to_owned(), kind: e.kind() };
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(PictureError::LongFile { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The contents decide, not the extension.
fn guess(bytes: &[u8], path: &Path) -> Result<ImageFormat, PictureError> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let refused =
        |cause: &str| PictureError::NotAnImage { path: path.to_owned(), cause: cause.to_owned() };
    match image::guess_format(bytes) {
        Ok(format) if matches!(format, Png | Jpeg | WebP | Bmp | Tiff | Gif) => Ok(format),
        _ if bytes.is_empty() => Err(refused("the file is empty")),
        _ if bytes.get(4..8) == Some(b"ftyp") => {
            Err(refused("HEIC, AVIF or a film; convert it to JPEG or PNG"))
        }
        _ => Err(refused("its first bytes are of none of these")),
    }
}

fn decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    path: &Path,
) -> Result<impl ImageDecoder + use<'a>, PictureError> {
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let decoder = reader.into_decoder().map_err(|e| unreadable(path, &e))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let path = path.to_owned();
        return Err(PictureError::TooLarge { path, width, height, max_pixels: MAX_PIXELS });
    }
    Ok(decoder)
}

fn measured(bytes: &[u8], format: ImageFormat, path: &Path) -> Result<Measured, PictureError> {
    let decoder = decoder(bytes, format, path)?;
    let (width, height) = decoder.dimensions();
    Ok(Measured { width, height, colour: decoder.color_type().has_color() })
}

fn unreadable(path: &Path, error: &ImageError) -> PictureError {
    PictureError::NotAnImage { path: path.to_owned(), cause: error.to_string() }
}

#[cfg(test)]
mod tests;
