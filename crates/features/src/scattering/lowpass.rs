//! Averaging with the Gaussian φ at the positions that are kept.
//!
//! φ is a product of a function of y and one of x, so two small matrices do what takes three
//! Fourier transforms.

use super::filters::gaussian;
use super::vectorised::vectorised;

/// Output columns worked on at once; rows of weights are padded to a multiple.
const TILE: usize = 8;

/// φ for fields of one size.
pub(crate) struct LowPass {
    /// `[output line][line]`.
    lines: Vec<f32>,
    /// `[column][output column]`, padded with zeros to whole tiles.
    columns: Vec<f32>,
    height: usize,
    width: usize,
    output_height: usize,
    output_width: usize,
}

impl LowPass {
    /// For fields sampled every 2^level pixels of a padded image of `height × width`.
    pub(crate) fn new(height: usize, width: usize, scales: usize, level: usize) -> Self {
        let (lines, columns) = (gaussian(height, scales, level), gaussian(width, scales, level));
        let (output_height, output_width) = (lines.len(), columns.len());
        let (height, width) = (height >> level, width >> level);
        let stride = output_width.next_multiple_of(TILE);
        let mut transposed = vec![0.0; width * stride];
        for (output, weights) in columns.iter().enumerate() {
            for (column, &weight) in weights.iter().enumerate() {
                transposed[column * stride + output] = weight as f32;
            }
        }
        let lines = lines.into_iter().flatten().map(|weight| weight as f32).collect();
        Self { lines, columns: transposed, height, width, output_height, output_width }
    }

    /// Scalars that [`LowPass::apply`] needs besides, for each field.
    pub(crate) fn scratch_len(&self) -> usize {
        self.output_height * self.width
    }

    /// Averages a stack of fields `[y][field][x]` into `[field][output y][output x]`.
    pub(crate) fn apply(&self, fields: &[f32], scratch: &mut [f32], output: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || self.average(fields, scratch, output),
        );
    }

    #[inline(always)]
    fn average(&self, fields: &[f32], scratch: &mut [f32], output: &mut [f32]) {
        let length = fields.len() / self.height;
        let scratch = &mut scratch[..self.output_height * length];
        let weights = self.lines.chunks_exact(self.height);
        for (target, weights) in scratch.chunks_exact_mut(length).zip(weights) {
            target.fill(0.0);
            for (line, &weight) in fields.chunks_exact(length).zip(weights) {
                target.iter_mut().zip(line).for_each(|(sum, &value)| *sum += weight * value);
            }
        }
        let area = self.output_height * self.output_width;
        for (y, line) in scratch.chunks_exact(length).enumerate() {
            for (field, values) in line.chunks_exact(self.width).enumerate() {
                let target = &mut output[field * area + y * self.output_width..];
                self.columns(values, &mut target[..self.output_width]);
            }
        }
    }

    #[inline(always)]
    fn columns(&self, values: &[f32], output: &mut [f32]) {
        let stride = self.output_width.next_multiple_of(TILE);
        for (tile, output) in output.chunks_mut(TILE).enumerate() {
            let mut sums = [0.0; TILE];
            for (&value, weights) in values.iter().zip(self.columns.chunks_exact(stride)) {
                let weights = &weights[tile * TILE..][..TILE];
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            output.copy_from_slice(&sums[..output.len()]);
        }
    }
}
