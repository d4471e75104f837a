//! Morlet wavelets and the Gaussian, as Kymatio makes them, in double precision.

use std::f64::consts::PI;

use num_complex::Complex;
use rustfft::FftPlanner;

use super::fourier::Fourier;

/// Kymatio's π in the norms of its filters.
#[expect(clippy::approx_constant, reason = "the reference rounds it so")]
const KYMATIO_PI: f64 = 3.1415;
/// Copies of a filter on each side that are added when it is made periodic.
const PERIODS: isize = 2;
/// Exponents below this contribute nothing.
const NEGLIGIBLE: f64 = -80.0;

/// Spectra of all wavelets on a grid of `height × width`.
pub(crate) struct Wavelets {
    height: usize,
    width: usize,
    angles: usize,
    /// `[scale][angle]`, each a real spectrum `[kx][ky]`.
    spectra: Vec<Vec<f64>>,
}

impl Wavelets {
    pub(crate) fn new(height: usize, width: usize, scales: usize, angles: usize) -> Self {
        let fourier = Fourier::new(height, width, &mut FftPlanner::new());
        let mut scratch = vec![Complex::default(); fourier.scratch_len()];
        let mut spectra = Vec::with_capacity(scales * angles);
        for scale in 0..scales {
            for angle in 0..angles {
                let mut field = Morlet::new(scale, angle, angles).field(height, width);
                let mut spectrum = vec![Complex::default(); field.len()];
                fourier.forward(&mut field, &mut spectrum, &mut scratch);
                // The imaginary part is zero but for rounding.
                spectra.push(spectrum.into_iter().map(|value| value.re).collect());
            }
        }
        Self { height, width, angles, spectra }
    }

    /// The wavelets of one scale for fields sampled every 2^level pixels: the frequencies below the
    /// lower Nyquist frequency, divided by the number of scalars of such a field, each twice in a
    /// row (for the real and the imaginary part of what it is multiplied by). Layout
    /// `[angle][kx][ky][2]`.
    pub(crate) fn gains(&self, scale: usize, level: usize) -> Vec<f32> {
        let (height, width) = (self.height >> level, self.width >> level);
        let share = 1.0 / (height * width) as f64;
        let mut gains = Vec::with_capacity(2 * self.angles * height * width);
        for spectrum in &self.spectra[scale * self.angles..][..self.angles] {
            for kx in (0..width).map(|k| kept(k, width, self.width)) {
                for ky in (0..height).map(|k| kept(k, height, self.height)) {
                    let gain = (spectrum[kx * self.height + ky] * share) as f32;
                    gains.extend([gain, gain]);
                }
            }
        }
        gains
    }
}

/// Where frequency `k` of `length` lies among the frequencies of a grid that is finer by a power of
/// two.
fn kept(k: usize, length: usize, fine: usize) -> usize {
    if k < length / 2 || length == fine { k } else { k + fine - length }
}

/// `g(u) (e^(iξu) - β)` with an elliptic Gaussian g and β such that the sum vanishes.
struct Morlet {
    sigma: f64,
    slant: f64,
    cos: f64,
    sin: f64,
    frequency: f64,
}

impl Morlet {
    fn new(scale: usize, angle: usize, angles: usize) -> Self {
        let octave = f64::from(1u32 << scale);
        // int(L - L / 2 - 1) in Python.
        let first = (angles as f64 / 2.0 - 1.0).trunc();
        let (sin, cos) = ((first - angle as f64) * PI / angles as f64).sin_cos();
        let (sigma, frequency) = (0.8 * octave, 0.75 * PI / octave);
        Self { sigma, slant: 4.0 / angles as f64, cos, sin, frequency }
    }

    /// The wavelet on a periodic grid, `[y][x]`.
    fn field(&self, height: usize, width: usize) -> Vec<Complex<f64>> {
        let mut waves = vec![Complex::default(); height * width];
        let mut envelope = waves.clone();
        for (y, rows) in copies(height) {
            for (x, columns) in copies(width) {
                // Kymatio measures the angle from the vertical axis.
                let (along, across) = (y * self.cos + x * self.sin, x * self.cos - y * self.sin);
                let radius = along * along + (self.slant * across).powi(2);
                let exponent = -radius / (2.0 * self.sigma * self.sigma);
                if exponent < NEGLIGIBLE {
                    continue;
                }
                let gauss = exponent.exp();
                waves[rows * width + columns] += Complex::from_polar(gauss, self.frequency * along);
                envelope[rows * width + columns] += gauss;
            }
        }
        let beta = waves.iter().sum::<Complex<f64>>() / envelope.iter().sum::<Complex<f64>>();
        let norm = 2.0 * KYMATIO_PI * self.sigma * self.sigma / self.slant;
        waves.iter().zip(&envelope).map(|(wave, gauss)| (wave - beta * gauss) / norm).collect()
    }
}

/// Coordinates on the line and where they fall on a circle of `length`.
fn copies(length: usize) -> impl Iterator<Item = (f64, usize)> + Clone {
    (-PERIODS..=PERIODS).flat_map(move |period| {
        (0..length).map(move |at| ((period * length as isize) as f64 + at as f64, at))
    })
}

/// The Gaussian φ of `scales` along one axis of `length`, as weights of samples 2^level pixels
/// apart: `[output][sample]` for outputs 2^scales pixels apart, without the first and the last one,
/// which lie in the padding.
pub(crate) fn gaussian(length: usize, scales: usize, level: usize) -> Vec<Vec<f64>> {
    let sigma = 0.8 * f64::from(1u32 << scales) / 2.0;
    let mut weights = vec![0.0; length];
    for (at, sample) in copies(length) {
        weights[sample] += (-at * at / (2.0 * sigma * sigma)).exp();
    }
    let norm = (2.0 * KYMATIO_PI).sqrt() * sigma;
    let spectrum: Vec<f64> = (0..length).map(|k| cosine_sum(&weights, k, length) / norm).collect();
    let samples = length >> level;
    let coarse: Vec<f64> = (0..samples).map(|k| spectrum[kept(k, samples, length)]).collect();
    let response: Vec<f64> =
        (0..samples).map(|d| cosine_sum(&coarse, d, samples) / samples as f64).collect();
    let step = 1 << (scales - level);
    let outputs = (1..(length >> scales) - 1).map(|output| output * step);
    outputs
        .map(|centre| (0..samples).map(|m| response[(samples + centre - m) % samples]).collect())
        .collect()
}

/// Coefficient `k` of the Fourier transform of an even sequence.
fn cosine_sum(values: &[f64], k: usize, length: usize) -> f64 {
    let phase = |n: usize| 2.0 * PI * ((k * n) % length) as f64 / length as f64;
    values.iter().enumerate().map(|(n, value)| value * phase(n).cos()).sum()
}
