//! Ground, ink, bounding box, scale and centre, as MNIST was made: "size normalized to fit in a
//! 20x20 pixel box while preserving their aspect ratio [...], centered in a 28x28 image by
//! computing the center of mass" (Y. LeCun, <http://yann.lecun.com/exdb/mnist/>).

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};

use crate::sources::mnist::SIDE;

/// Longer side of the digit in an MNIST image.
const BOX: u32 = 20;
/// Pixel of MNIST's centre of mass, rounded: its mean over the database is (14.0, 14.0).
const CENTRE: f32 = 14.0;
/// Contrast below which a picture is blank, of 255.
const MIN_CONTRAST: f32 = 24.0;
/// Least ink of the strongest that belongs to a stroke, where noise does not ask for more: of 0.05
/// to 0.2, the value that brings rescaled MNIST digits back most alike.
const STROKE: f32 = 0.15;
/// A component with less ink than this share of the largest is a speck.
const SPECK: f32 = 0.05;

/// Nothing stands out from the ground.
pub(super) struct Blank;

/// Ink per pixel, 0 (ground) to 1.
type Ink = ImageBuffer<Luma<f32>, Vec<f32>>;

/// A 28 × 28 image, white on black.
pub(super) fn normalise(grey: &GrayImage) -> Result<[u8; SIDE * SIDE], Blank> {
    let ground = Ground::of(grey);
    let (mut ink, threshold) = ground.ink(grey)?;
    let mask: Vec<bool> = ink.iter().map(|v| *v > threshold).collect();
    let bounds = keep_digit(&mut ink, &mask).ok_or(Blank)?;
    Ok(centre(&scale(&ink, bounds)))
}

/// Level and unevenness of the ground, as the border of the picture shows them.
struct Ground {
    level: f32,
    /// Deviation from `level` that is not ink.
    noise: f32,
}

impl Ground {
    fn of(grey: &GrayImage) -> Self {
        let (width, height) = grey.dimensions();
        let margin = (width.min(height) / 32).max(1);
        let at_border = |x: u32, y: u32| {
            x < margin || y < margin || x >= width - margin || y >= height - margin
        };
        let mut border: Vec<f32> = grey
            .enumerate_pixels()
            .filter(|(x, y, _)| at_border(*x, *y))
            .map(|(_, _, v)| f32::from(v.0[0]))
            .collect();
        let level = quantile(&mut border, 0.5);
        for value in &mut border {
            *value = (*value - level).abs();
        }
        // The third quartile of |x| is 1.15σ for Gaussian noise, 0.67σ where black cuts half of
        // it off; either way this is beyond 3σ.
        let noise = 3.0 / 0.674 * quantile(&mut border, 0.75) + 2.0;
        Self { level, noise }
    }

    /// Ink in [0, 1], and the least ink that belongs to a stroke. Whether ink is dark or light is
    /// decided by which of them there is more of.
    fn ink(&self, grey: &GrayImage) -> Result<(Ink, f32), Blank> {
        let beyond = |v: f32| (v - self.noise).max(0.0);
        let (mut darker, mut lighter, mut peak) = (0.0_f64, 0.0_f64, 0.0_f32);
        for v in grey.iter() {
            let difference = f32::from(*v) - self.level;
            darker += f64::from(beyond(-difference));
            lighter += f64::from(beyond(difference));
        }
        let sign = if darker > lighter { -1.0 } else { 1.0 };
        for v in grey.iter() {
            peak = peak.max((f32::from(*v) - self.level) * sign);
        }
        if peak < MIN_CONTRAST.max(1.5 * self.noise) {
            return Err(Blank);
        }
        let floor = if self.noise > 4.0 { self.noise / 2.0 } else { 0.0 };
        let ink = ImageBuffer::from_fn(grey.width(), grey.height(), |x, y| {
            let above = (f32::from(grey.get_pixel(x, y).0[0]) - self.level) * sign;
            Luma([((above - floor) / (peak - floor)).clamp(0.0, 1.0)])
        });
        Ok((ink, ((self.noise - floor) / (peak - floor)).max(STROKE)))
    }
}

/// Inclusive bounds of the digit.
#[derive(Clone, Copy)]
struct Bounds {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

/// Finds the 8-connected components of `mask`, wipes the specks out of `ink` and returns the
/// bounds of the rest; `None` without a component.
fn keep_digit(ink: &mut Ink, mask: &[bool]) -> Option<Bounds> {
    let (width, height) = (ink.width(), ink.height());
    let mut left = mask.to_vec();
    let mut components: Vec<(f32, Vec<(u32, u32)>)> = Vec::new();
    let index = |x: u32, y: u32| (y * width + x) as usize;
    for start_y in 0..height {
        for start_x in 0..width {
            if !std::mem::take(&mut left[index(start_x, start_y)]) {
                continue;
            }
            let mut pixels = vec![(start_x, start_y)];
            let mut next = 0;
            while let Some(&(x, y)) = pixels.get(next) {
                next += 1;
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        if std::mem::take(&mut left[index(nx, ny)]) {
                            pixels.push((nx, ny));
                        }
                    }
                }
            }
            let mass = pixels.iter().map(|(x, y)| ink.get_pixel(*x, *y).0[0]).sum();
            components.push((mass, pixels));
        }
    }
    let least = SPECK * components.iter().map(|(mass, _)| *mass).fold(0.0, f32::max);
    let mut bounds: Option<Bounds> = None;
    for (mass, pixels) in components {
        for (x, y) in pixels {
            if mass < least {
                ink.put_pixel(x, y, Luma([0.0]));
                continue;
            }
            let so_far = bounds.unwrap_or(Bounds { left: x, top: y, right: x, bottom: y });
            bounds = Some(Bounds {
                left: so_far.left.min(x),
                top: so_far.top.min(y),
                right: so_far.right.max(x),
                bottom: so_far.bottom.max(y),
            });
        }
    }
    bounds
}

/// The digit, its longer side 20 pixels, its strongest ink 1.
fn scale(ink: &Ink, bounds: Bounds) -> Ink {
    let width = bounds.right - bounds.left + 1;
    let height = bounds.bottom - bounds.top + 1;
    let longer = width.max(height);
    let fit = |side: u32| ((side * BOX + longer / 2) / longer).max(1);
    let digit = imageops::crop_imm(ink, bounds.left, bounds.top, width, height).to_image();
    let mut scaled = imageops::resize(&digit, fit(width), fit(height), FilterType::Lanczos3);
    let peak = scaled.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    for value in scaled.iter_mut() {
        *value = (*value / peak).clamp(0.0, 1.0);
    }
    scaled
}

/// The digit in its field, shifted by whole pixels so that its centre of mass is in the centre.
fn centre(digit: &Ink) -> [u8; SIDE * SIDE] {
    let (mut mass, mut x_mass, mut y_mass) = (0.0, 0.0, 0.0);
    for (x, y, value) in digit.enumerate_pixels() {
        mass += value.0[0];
        x_mass += value.0[0] * x as f32;
        y_mass += value.0[0] * y as f32;
    }
    let offset = |moment: f32, side: u32| {
        // Never out of the field, however far from its middle the digit is heavy.
        let most = (SIDE as u32 - side) as f32;
        (CENTRE - moment / mass).round().clamp(0.0, most) as usize
    };
    let (left, top) = (offset(x_mass, digit.width()), offset(y_mass, digit.height()));
    let mut field = [0; SIDE * SIDE];
    for (x, y, value) in digit.enumerate_pixels() {
        field[(top + y as usize) * SIDE + left + x as usize] = (value.0[0] * 255.0).round() as u8;
    }
    field
}

/// The `q`-quantile; 0 of no values.
fn quantile(values: &mut [f32], q: f32) -> f32 {
    let rank = (q * values.len().saturating_sub(1) as f32).round() as usize;
    if rank >= values.len() {
        return 0.0;
    }
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}
