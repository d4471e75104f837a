//! Ground, ink, bounding box, scale and centre, as MNIST was made: "size normalized to fit in a
//! 20x20 pixel box while preserving their aspect ratio [...], centered in a 28x28 image by
//! computing the center of mass" (Y. LeCun, <http://yann.lecun.com/exdb/mnist/>).

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};

/// Rows and columns of an image of MNIST.
pub(super) const SIDE: usize = 28;

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

/// Least difference between parts of the border, of 255, that is uneven light and not noise.
const SHADOW: f32 = 32.0;
/// Deviations of the border, of 255, that are neither those of even ground nor those of ink.
const BETWEEN: std::ops::Range<f32> = 8.0..48.0;
/// Least side of a picture that shadows are looked for in.
const LEAST_SIDE: u32 = 8;
/// Parts of each side of the border.
const PARTS: usize = 4;
/// Least gap between two digits beside each other, of their height.
const GAP: f32 = 0.08;
/// Least height of each of two digits, of their common height.
const TALL: f32 = 0.5;
/// Least ink of each of two digits, of all.
const HEAVY: f32 = 0.15;
/// Widest digit, of its height.
const WIDE: f32 = 1.6;
/// Share of the picture that a frame around the digit spans both ways.
const AROUND: f32 = 0.85;

/// Why there is no digit.
pub(super) enum NoDigit {
    /// Nothing stands out from the ground.
    Blank,
    /// The ground is as uneven as ink.
    Uneven,
    /// More than one stands out.
    Several,
}

/// Ink per pixel, 0 (ground) to 1.
type Ink = ImageBuffer<Luma<f32>, Vec<f32>>;

/// A 28 × 28 image, white on black.
pub(super) fn normalise(grey: &GrayImage) -> Result<[u8; SIDE * SIDE], NoDigit> {
    let ground = Ground::of(grey);
    let Some((mut ink, threshold)) = ground.ink(grey) else {
        return Err(if is_uneven(grey) { NoDigit::Uneven } else { NoDigit::Blank });
    };
    let mask: Vec<bool> = ink.iter().map(|v| *v > threshold).collect();
    let bounds = keep_digit(&mut ink, &mask)?;
    Ok(centre(&scale(&ink, bounds)))
}

/// Whether parts of the border differ as noise alone does not make them.
fn is_uneven(grey: &GrayImage) -> bool {
    if grey.width().min(grey.height()) < LEAST_SIDE {
        return false;
    }
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let level = |x: usize, y: usize| f32::from(grey.get_pixel(x as u32, y as u32).0[0]);
    let mut medians = Vec::new();
    for part in 0..PARTS {
        let (xs, ys) = (
            part * width / PARTS..(part + 1) * width / PARTS,
            part * height / PARTS..(part + 1) * height / PARTS,
        );
        let across = |y: usize| xs.clone().map(move |x| (x, y));
        let down = |x: usize| ys.clone().map(move |y| (x, y));
        let sides: [Vec<(usize, usize)>; 4] = [
            across(0).collect(),
            across(height - 1).collect(),
            down(0).collect(),
            down(width - 1).collect(),
        ];
        for side in sides.into_iter().filter(|side| !side.is_empty()) {
            let mut levels: Vec<f32> = side.into_iter().map(|(x, y)| level(x, y)).collect();
            medians.push(quantile(&mut levels, 0.5));
        }
    }
    let darkest = medians.iter().copied().fold(f32::INFINITY, f32::min);
    let lightest = medians.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    lightest - darkest > SHADOW
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
        // it off; either way this is beyond 3σ. A digit that fills the picture has strokes there:
        // then there is ground and ink and little between them, and the median is of the ground.
        let between = border.iter().filter(|x| BETWEEN.contains(*x)).count();
        let rank = if between * 5 < border.len() { 0.5 } else { 0.75 };
        let noise = 3.0 / 0.674 * quantile(&mut border, rank) + 2.0;
        Self { level, noise }
    }

    /// Ink in [0, 1], and the least ink that belongs to a stroke. Whether ink is dark or light is
    /// decided by which of them there is more of. `None` if nothing stands out.
    fn ink(&self, grey: &GrayImage) -> Option<(Ink, f32)> {
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
            return None;
        }
        let floor = if self.noise > 4.0 { self.noise / 2.0 } else { 0.0 };
        let ink = ImageBuffer::from_fn(grey.width(), grey.height(), |x, y| {
            let above = (f32::from(grey.get_pixel(x, y).0[0]) - self.level) * sign;
            Luma([((above - floor) / (peak - floor)).clamp(0.0, 1.0)])
        });
        Some((ink, ((self.noise - floor) / (peak - floor)).max(STROKE)))
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

/// What hangs together.
struct Component {
    mass: f32,
    pixels: Vec<(u32, u32)>,
    bounds: Bounds,
}

impl Bounds {
    fn of(x: u32, y: u32) -> Self {
        Self { left: x, top: y, right: x, bottom: y }
    }

    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn width(self) -> f32 {
        (self.right - self.left + 1) as f32
    }

    fn height(self) -> f32 {
        (self.bottom - self.top + 1) as f32
    }
}

/// Finds what hangs together in `mask`, wipes specks and a frame around the rest out of `ink` and
/// returns the bounds of what is left.
fn keep_digit(ink: &mut Ink, mask: &[bool]) -> Result<Bounds, NoDigit> {
    let (width, height) = (ink.width() as f32, ink.height() as f32);
    let components = components(ink, mask);
    let mut kept: Vec<&Component> = components.iter().collect();
    let heaviest = |of: &[&Component]| of.iter().map(|c| c.mass).fold(0.0, f32::max);
    let least = SPECK * heaviest(&kept);
    kept.retain(|component| component.mass >= least);
    let around = |component: &Component| {
        let Bounds { left, top, right, bottom } = component.bounds;
        let inside = |other: &&&Component| {
            let other = other.bounds;
            other.left > left && other.top > top && other.right < right && other.bottom < bottom
        };
        let spans = component.bounds.width() >= AROUND * width
            && component.bounds.height() >= AROUND * height;
        spans && kept.iter().any(|other| inside(&other))
    };
    let frame = kept.iter().position(|component| around(component));
    if let Some(frame) = frame {
        kept.remove(frame);
        let least = SPECK * heaviest(&kept);
        kept.retain(|component| component.mass >= least);
    }
    let Some(bounds) = kept.iter().map(|c| c.bounds).reduce(Bounds::with) else {
        return Err(NoDigit::Blank);
    };
    if are_several(&kept, bounds) {
        return Err(NoDigit::Several);
    }
    let wiped = components.iter().filter(|c| !kept.iter().any(|kept| std::ptr::eq(*kept, *c)));
    let wiped: Vec<(u32, u32)> = wiped.flat_map(|component| component.pixels.clone()).collect();
    wiped.into_iter().for_each(|(x, y)| ink.put_pixel(x, y, Luma([0.0])));
    Ok(bounds)
}

/// Whether components stand beside each other, each as tall and as heavy as a digit, or reach
/// further to the side than a digit does.
fn are_several(kept: &[&Component], all: Bounds) -> bool {
    let (height, mass) = (all.height(), kept.iter().map(|c| c.mass).sum::<f32>());
    let mut from_left: Vec<&&Component> = kept.iter().collect();
    from_left.sort_by_key(|component| component.bounds.left);
    let mut groups: Vec<(Bounds, f32)> = Vec::new();
    for component in from_left {
        match groups.last_mut() {
            Some((bounds, mass))
                if (component.bounds.left as f32) < bounds.right as f32 + GAP * height =>
            {
                *bounds = bounds.with(component.bounds);
                *mass += component.mass;
            }
            _ => groups.push((component.bounds, component.mass)),
        }
    }
    let digit =
        |(bounds, ink): &&(Bounds, f32)| bounds.height() >= TALL * height && *ink >= HEAVY * mass;
    groups.iter().filter(digit).count() > 1 || all.width() > WIDE * height
}

/// The 8-connected components of `mask`.
fn components(ink: &Ink, mask: &[bool]) -> Vec<Component> {
    let (width, height) = (ink.width(), ink.height());
    let mut left = mask.to_vec();
    let mut components = Vec::new();
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
            let bounds = pixels.iter().map(|&(x, y)| Bounds::of(x, y)).reduce(Bounds::with);
            let bounds = bounds.unwrap_or(Bounds::of(start_x, start_y));
            components.push(Component { mass, pixels, bounds });
        }
    }
    components
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
