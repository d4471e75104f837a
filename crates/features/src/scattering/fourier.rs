//! Two-dimensional Fourier transforms of stacks of fields, rows and columns by `rustfft`.
//!
//! A spectrum is kept transposed, `[kx][ky]`: with that, each direction needs one transposition
//! instead of two.

use std::sync::Arc;

use num_complex::Complex;
use rustfft::{Fft, FftNum, FftPlanner};

/// Both directions for fields of one size.
pub(crate) struct Fourier<T> {
    pub(crate) height: usize,
    pub(crate) width: usize,
    forward: Lines<T>,
    inverse: Lines<T>,
}

/// Transforms along the lines of a field and along those of its transpose.
struct Lines<T> {
    rows: Arc<dyn Fft<T>>,
    columns: Arc<dyn Fft<T>>,
}

impl<T: FftNum> Fourier<T> {
    pub(crate) fn new(height: usize, width: usize, planner: &mut FftPlanner<T>) -> Self {
        let forward = Lines {
            rows: planner.plan_fft_forward(width),
            columns: planner.plan_fft_forward(height),
        };
        let inverse = Lines {
            rows: planner.plan_fft_inverse(width),
            columns: planner.plan_fft_inverse(height),
        };
        Self { height, width, forward, inverse }
    }

    /// Scalars of one field.
    pub(crate) fn area(&self) -> usize {
        self.height * self.width
    }

    /// Scalars that the transforms need besides.
    pub(crate) fn scratch_len(&self) -> usize {
        let both = [&self.forward, &self.inverse];
        let lengths = both.into_iter().flat_map(|lines| [&lines.rows, &lines.columns]);
        lengths.map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0)
    }

    /// From fields `[y][x]` to their spectra `[kx][ky]`; `fields` is overwritten.
    pub(crate) fn forward(
        &self,
        fields: &mut [Complex<T>],
        spectra: &mut [Complex<T>],
        scratch: &mut [Complex<T>],
    ) {
        self.forward.rows.process_with_scratch(fields, scratch);
        self.transpose(fields, spectra, (self.height, self.width));
        self.forward.columns.process_with_scratch(spectra, scratch);
    }

    /// From spectra `[kx][ky]` to fields `[y][x]`, times the number of scalars of a field;
    /// `spectra` is overwritten.
    pub(crate) fn inverse(
        &self,
        spectra: &mut [Complex<T>],
        fields: &mut [Complex<T>],
        scratch: &mut [Complex<T>],
    ) {
        self.inverse.columns.process_with_scratch(spectra, scratch);
        self.transpose(spectra, fields, (self.width, self.height));
        self.inverse.rows.process_with_scratch(fields, scratch);
    }

    fn transpose(
        &self,
        from: &[Complex<T>],
        to: &mut [Complex<T>],
        (lines, length): (usize, usize),
    ) {
        let stacked = from.chunks_exact(self.area()).zip(to.chunks_exact_mut(self.area()));
        for (from, to) in stacked {
            for (column, target) in to.chunks_exact_mut(lines).enumerate() {
                let source = from[column..].iter().step_by(length);
                target.iter_mut().zip(source).for_each(|(target, &value)| *target = value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use num_complex::Complex;
    use rustfft::FftPlanner;

    use super::Fourier;

    #[test]
    fn transforms_are_those_of_the_definition_and_inverse_to_each_other() {
        let (height, width) = (4, 6);
        let fourier = Fourier::new(height, width, &mut FftPlanner::new());
        let value = |stack: usize, y: usize, x: usize| (stack * 31 + y * 7 + x * x) as f64 % 5.0;
        let indices =
            (0..2).flat_map(|s| (0..height).flat_map(move |y| (0..width).map(move |x| (s, y, x))));
        let original: Vec<_> =
            indices.map(|(s, y, x)| Complex::new(value(s, y, x), 0.5 * value(s, x, y))).collect();
        let (mut fields, mut spectra) = (original.clone(), original.clone());
        let mut scratch = vec![Complex::default(); fourier.scratch_len()];
        fourier.forward(&mut fields, &mut spectra, &mut scratch);
        for (s, kx, ky) in [(0, 0, 0), (0, 5, 1), (1, 2, 3)] {
            let mut sum = Complex::default();
            for y in 0..height {
                for x in 0..width {
                    let turns = (kx * x) as f64 / width as f64 + (ky * y) as f64 / height as f64;
                    let phase = Complex::from_polar(1.0, -std::f64::consts::TAU * turns);
                    sum += original[(s * height + y) * width + x] * phase;
                }
            }
            let got = spectra[(s * width + kx) * height + ky];
            assert!((got - sum).norm() < 1e-9, "{got} at {s} {kx} {ky}, expected {sum}");
        }
        fourier.inverse(&mut spectra, &mut fields, &mut scratch);
        for (got, expected) in fields.iter().zip(original) {
            assert!((got / 24.0 - expected).norm() < 1e-9, "{got}, expected {expected}");
        }
    }
}
