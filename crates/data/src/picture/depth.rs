//! Samples of 16 bits as samples of 8, without losing what is there.

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba};

use crate::levels::depth_shift;

/// The picture with 8 bits a sample. A file of 16 bits may hold 8, 12 or 16 (scanners, X-rays):
/// whichever holds the brightest sample is what becomes white.
pub(super) fn eight_bits(image: DynamicImage) -> DynamicImage {
    if let DynamicImage::ImageLuma16(image) = &image {
        let shift = shift(image, 1);
        return each(image, |Luma([v])| Luma([cut(*v, shift)])).into();
    }
    if let DynamicImage::ImageLumaA16(image) = &image {
        let shift = shift(image, 1);
        return each(image, |LumaA([v, a])| LumaA([cut(*v, shift), cut(*a, 8)])).into();
    }
    if let DynamicImage::ImageRgb16(image) = &image {
        let shift = shift(image, 3);
        return each(image, |Rgb(v)| Rgb(v.map(|v| cut(v, shift)))).into();
    }
    if let DynamicImage::ImageRgba16(image) = &image {
        let shift = shift(image, 3);
        let cut_all = |Rgba([r, g, b, a]): &Rgba<u16>| {
            Rgba([cut(*r, shift), cut(*g, shift), cut(*b, shift), cut(*a, 8)])
        };
        return each(image, cut_all).into();
    }
    if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
        return image.into_rgb8().into();
    }
    image
}

/// By how many bits the first `colours` samples of the pixels are too long.
fn shift<P: Pixel<Subpixel = u16>>(image: &ImageBuffer<P, Vec<u16>>, colours: usize) -> u32 {
    let brightest = |pixel: &P| pixel.channels().iter().take(colours).copied().max().unwrap_or(0);
    depth_shift(image.pixels().map(brightest).max().unwrap_or(0))
}

fn cut(sample: u16, shift: u32) -> u8 {
    (sample >> shift).min(255) as u8
}

fn each<P, Q>(image: &ImageBuffer<P, Vec<u16>>, of: impl Fn(&P) -> Q) -> ImageBuffer<Q, Vec<u8>>
where
    P: Pixel<Subpixel = u16>,
    Q: Pixel<Subpixel = u8>,
{
    ImageBuffer::from_fn(image.width(), image.height(), |x, y| of(image.get_pixel(x, y)))
}
