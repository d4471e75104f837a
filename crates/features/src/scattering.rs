//! The two-dimensional scattering transform of an image (Mallat, *Group invariant scattering*,
//! 2012; Bruna & Mallat, *Invariant scattering convolution networks*, 2013): fixed, public
//! features, without anything trained.
//!
//! With Morlet wavelets ψ of J scales and L angles and a Gaussian φ it yields
//!
//! - order 0: `x ⋆ φ`,
//! - order 1: `|x ⋆ ψ_j,θ| ⋆ φ`,
//! - order 2: `||x ⋆ ψ_j,θ| ⋆ ψ_k,η| ⋆ φ` for k > j,
//!
//! sampled every 2^J pixels. Filters, padding, sampling and order of the channels are those of
//! Kymatio's `Scattering2D` (Andreux et al., JMLR 2020), against whose results it is tested.

mod error;
mod filters;
mod fourier;
mod groups;
mod lowpass;
mod vectorised;
mod wavelets;
mod workspace;

use num_complex::Complex;
use rustfft::FftPlanner;
use sphinx_network::{MAX_ANGLES, MAX_SCALES};

use self::filters::Wavelets;
use self::fourier::Fourier;
use self::lowpass::LowPass;
use self::wavelets::{moduli, multiply, separate};

pub use self::error::ScatteringError;
pub use self::groups::{EPSILON, normalise_groups};
pub use self::workspace::Workspace;

/// Largest height or width of an image.
pub const MAX_SIDE: usize = 1024;
/// Most features of an image.
pub const MAX_OUTPUTS: usize = 1 << 20;

/// A scattering transform of second order for images of one size: filters and Fourier plans,
/// shared by threads.
///
/// Expected cost for 28 × 28, J = 2, L = 8: 13 Fourier transforms of 36 × 36 and 72 of 18 × 18 (2
/// million operations), products with wavelets and averages (1 million), 35 000 square roots: 0.2
/// to 0.4 ms.
///
/// Single precision; the last bits depend on the instruction set that `rustfft` finds.
///
/// ```
/// # fn main() -> Result<(), sphinx_features::ScatteringError> {
/// use sphinx_features::{Scattering, normalise_groups};
///
/// let scattering = Scattering::new(28, 28, 2, 8)?;
/// assert_eq!(scattering.output(), [81, 7, 7]);
/// let mut workspace = scattering.workspace();
/// let mut features = vec![0.0; 81 * 7 * 7];
/// scattering.transform(&[0.5; 28 * 28], &mut workspace, &mut features)?;
/// normalise_groups(&mut features, 27)?;
/// # Ok(())
/// # }
/// ```
pub struct Scattering {
    height: usize,
    width: usize,
    scales: usize,
    angles: usize,
    /// For fields sampled every 2^level pixels.
    levels: Vec<Level>,
}

/// What is needed for fields sampled every 2^level pixels.
struct Level {
    fourier: Fourier<f32>,
    low_pass: LowPass,
    /// Gains of the wavelets of each scale, where they are needed.
    wavelets: Vec<Option<Vec<f32>>>,
}

impl Level {
    fn size(&self) -> (usize, usize) {
        (self.fourier.height, self.fourier.width)
    }
}

impl Scattering {
    /// The transform with `scales` (J) and `angles` (L) for images of `height × width`.
    ///
    /// # Errors
    /// [`ScatteringError::Size`]: sides of 2^J to [`MAX_SIDE`] pixels, J of 1 to [`MAX_SCALES`], L
    /// of 1 to [`MAX_ANGLES`], at most [`MAX_OUTPUTS`] features.
    pub fn new(
        height: usize,
        width: usize,
        scales: usize,
        angles: usize,
    ) -> Result<Self, ScatteringError> {
        check("scales", scales, 1, MAX_SCALES)?;
        check("angles", angles, 1, MAX_ANGLES)?;
        let least = 1 << scales;
        check("height", height, least, MAX_SIDE)?;
        check("width", width, least, MAX_SIDE)?;
        let outputs = channels(scales, angles) * (height >> scales) * (width >> scales);
        check("number of features", outputs, 1, MAX_OUTPUTS)?;
        let padded = |side: usize| ((side >> scales) + 2) << scales;
        let (tall, wide) = (padded(height), padded(width));
        let wavelets = Wavelets::new(tall, wide, scales, angles);
        let mut planner = FftPlanner::new();
        let levels = (0..scales).map(|level| Level {
            fourier: Fourier::new(tall >> level, wide >> level, &mut planner),
            low_pass: LowPass::new(tall, wide, scales, level),
            wavelets: (0..scales)
                .map(|scale| (level == 0 || scale > level).then(|| wavelets.gains(scale, level)))
                .collect(),
        });
        Ok(Self { height, width, scales, angles, levels: levels.collect() })
    }

    /// Channels, height and width of the features: `1 + J L + L² J (J - 1) / 2` channels, ordered
    /// as in Kymatio (order, then first scale and angle, then second scale and angle); sides
    /// divided by 2^J, rounded down.
    pub fn output(&self) -> [usize; 3] {
        let Self { height, width, scales, angles, .. } = *self;
        [channels(scales, angles), height >> scales, width >> scales]
    }

    /// Memory for [`Scattering::transform`].
    pub fn workspace(&self) -> Workspace {
        let complex = |length: usize| vec![Complex::default(); length];
        let area = self.levels[0].fourier.area();
        let stack = self.angles * area;
        let scratch = self.levels.iter().map(|level| level.fourier.scratch_len()).max();
        let lines = self.levels.iter().map(|level| level.low_pass.scratch_len()).max();
        Workspace {
            shape: self.shape(),
            image: vec![0.0; area],
            spectrum: complex(area),
            products: complex(stack),
            fields: complex(stack),
            first: vec![0.0; stack],
            second: vec![0.0; stack],
            pair: [complex(area), complex(area)],
            scratch: complex(scratch.unwrap_or(0)),
            lines: vec![0.0; self.angles * lines.unwrap_or(0)],
        }
    }

    /// The features `[channel][y][x]` of an image `[y][x]`.
    ///
    /// # Errors
    /// [`ScatteringError::Length`] or [`ScatteringError::Workspace`]; nothing is written then.
    pub fn transform(
        &self,
        image: &[f32],
        workspace: &mut Workspace,
        features: &mut [f32],
    ) -> Result<(), ScatteringError> {
        let outputs = self.output().iter().product();
        for (what, got, expected) in [
            ("pixels", image.len(), self.height * self.width),
            ("features to write", features.len(), outputs),
        ] {
            if got != expected {
                return Err(ScatteringError::Length { what, got, expected });
            }
        }
        if workspace.shape != self.shape() {
            return Err(ScatteringError::Workspace);
        }
        let Some(full) = self.levels.first() else { return Ok(()) };
        let [_, height, width] = self.output();
        let (low, rest) = features.split_at_mut(height * width);
        let (first, mut second) = rest.split_at_mut(self.scales * self.angles * height * width);
        self.pad(image, &mut workspace.image);
        full.low_pass.apply(&workspace.image, &mut workspace.lines, low);
        let area = full.fourier.area();
        let pixels = workspace.fields.iter_mut().zip(&workspace.image);
        pixels.for_each(|(field, &pixel)| *field = pixel.into());
        let Workspace { fields, spectrum, scratch, .. } = workspace;
        full.fourier.forward(&mut fields[..area], spectrum, scratch);
        let orders = first.chunks_exact_mut(self.angles * height * width);
        for (scale, first) in orders.enumerate() {
            second = self.scale(scale, workspace, first, second);
        }
        Ok(())
    }

    /// First order of one scale, and the second order that follows from it; returns what is left of
    /// `second`.
    fn scale<'a>(
        &self,
        scale: usize,
        workspace: &mut Workspace,
        first: &mut [f32],
        mut second: &'a mut [f32],
    ) -> &'a mut [f32] {
        let Workspace {
            spectrum,
            products,
            fields,
            first: moduli,
            second: finer,
            pair,
            scratch,
            lines,
            ..
        } = workspace;
        let mut buffers = Buffers { products, fields, scratch, lines };
        let level = &self.levels[scale];
        let moduli = &mut moduli[..self.angles * level.fourier.area()];
        self.wavelets((0, spectrum), scale, &mut buffers, moduli, first);
        let coarser = scale + 1..self.scales;
        if coarser.is_empty() {
            return second;
        }
        let (height, width) = level.size();
        let [a, b] = pair.each_mut().map(|spectrum| &mut spectrum[..height * width]);
        for angle in (0..self.angles).step_by(2) {
            // Two real fields by one complex transform.
            let fields = &mut buffers.fields[..height * width];
            let pairs = fields.chunks_exact_mut(width);
            for (target, line) in pairs.zip(moduli.chunks_exact(self.angles * width)) {
                let re = &line[angle * width..][..width];
                let im = line.get((angle + 1) * width..(angle + 2) * width);
                for (x, target) in target.iter_mut().enumerate() {
                    *target = Complex::new(re[x], im.map_or(0.0, |im| im[x]));
                }
            }
            let both = &mut buffers.products[..height * width];
            level.fourier.forward(fields, both, buffers.scratch);
            separate(both, level.size(), a, b);
            for spectrum in [&*a, &*b].into_iter().take(self.angles - angle) {
                for other in coarser.clone() {
                    let [_, output_height, output_width] = self.output();
                    let (features, rest) =
                        second.split_at_mut(self.angles * output_height * output_width);
                    let finer = &mut finer[..self.angles * self.levels[other].fourier.area()];
                    self.wavelets((scale, spectrum), other, &mut buffers, finer, features);
                    second = rest;
                }
            }
        }
        second
    }

    /// Wavelets of one scale and all angles on a field given by its level and spectrum: their
    /// moduli, sampled every 2^scale pixels, and the averages of these.
    fn wavelets(
        &self,
        (level, spectrum): (usize, &[Complex<f32>]),
        scale: usize,
        buffers: &mut Buffers<'_>,
        modulus: &mut [f32],
        features: &mut [f32],
    ) {
        let (source, target) = (&self.levels[level], &self.levels[scale]);
        let Some(gains) = &source.wavelets[scale] else { return };
        let area = target.fourier.area();
        let products = &mut buffers.products[..self.angles * area];
        let fields = &mut buffers.fields[..self.angles * area];
        let gains = gains.chunks_exact(2 * source.fourier.area());
        for (products, gains) in products.chunks_exact_mut(area).zip(gains) {
            multiply(spectrum, source.size(), gains, 1 << (scale - level), products);
        }
        target.fourier.inverse(products, fields, buffers.scratch);
        moduli(fields, target.size(), modulus);
        target.low_pass.apply(modulus, buffers.lines, features);
    }

    /// Mirrors an image at its borders, without repeating them.
    fn pad(&self, image: &[f32], padded: &mut [f32]) {
        let (height, width) = self.levels[0].size();
        let before = |padded: usize, side: usize| (padded - side) / 2;
        let (top, left) = (before(height, self.height), before(width, self.width));
        for (y, line) in padded.chunks_exact_mut(width).enumerate() {
            let source = &image[mirrored(y, top, self.height) * self.width..][..self.width];
            for (x, target) in line.iter_mut().enumerate() {
                *target = source[mirrored(x, left, self.width)];
            }
        }
    }

    fn shape(&self) -> [usize; 4] {
        [self.height, self.width, self.scales, self.angles]
    }
}

/// The parts of a workspace that every set of wavelets uses.
struct Buffers<'a> {
    products: &'a mut [Complex<f32>],
    fields: &'a mut [Complex<f32>],
    scratch: &'a mut [Complex<f32>],
    lines: &'a mut [f32],
}

impl std::fmt::Debug for Scattering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [height, width, scales, angles] = self.shape();
        write!(f, "Scattering({height} x {width}, {scales} scales, {angles} angles)")
    }
}

fn channels(scales: usize, angles: usize) -> usize {
    1 + scales * angles + angles * angles * scales * (scales - 1) / 2
}

/// The pixel that position `at` of a padded line shows.
fn mirrored(at: usize, before: usize, side: usize) -> usize {
    let period = 2 * (side - 1);
    let offset = (at + period * before - before) % period;
    offset.min(period - offset)
}

fn check(
    field: &'static str,
    got: usize,
    least: usize,
    most: usize,
) -> Result<(), ScatteringError> {
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(ScatteringError::Size { field, got, least, most })
    }
}
