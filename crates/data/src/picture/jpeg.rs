//! JPEG, strictly: what a scan lacks is an error and not grey.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// What is put behind a scan to see whether it is read.
const TAIL: [u8; 64] = [0x5a; 64];
/// Length of the end-of-image marker.
const END: usize = 2;

/// The picture, inks made light, and how it is to be turned. `bytes` end with the end of the image.
///
/// A scan that was cut off and given an end is read as far as it goes and then as zeros. So the
/// picture is decoded with other bits before the end as well: where the scan is whole, nobody gets
/// to them.
///
/// # Errors
/// What the decoder says, or that the scan is short.
pub(super) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let decoded = read(bytes, true)?;
    let (scan, end) = bytes.split_at(bytes.len().saturating_sub(END));
    match read(&[scan, &TAIL, end].concat(), false) {
        Ok((again, _)) if again == decoded.0 => Ok(decoded),
        Ok(_) | Err(_) => Err("its last scan is short".to_owned()),
    }
}

fn read(bytes: &[u8], strict: bool) -> Result<(DynamicImage, Orientation), String> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let said = |error: zune_jpeg::errors::DecodeErrors| error.to_string();
    decoder.decode_headers().map_err(said)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let levels = decoder.decode().map_err(said)?;
    let (width, height) = decoder.dimensions().ok_or("no size")?;
    let (width, height) = (width as u32, height as u32);
    let image = if grey {
        GrayImage::from_raw(width, height, levels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, levels).map(DynamicImage::from)
    };
    // Junk in the place of EXIF data turns nothing.
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let image = image.ok_or("fewer pixels than its header says")?;
    Ok((image, orientation.unwrap_or(Orientation::NoTransforms)))
}
