//! Gabor filters (Daugman 1985): waves of all orientations under a Gaussian window.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// Kernels of a convolution in the order `[out_channel][in_channel][ky][kx]`. The first half of the
/// output channels gets even filters (bars), the other half odd ones (edges), each in evenly spaced
/// orientations; all input channels of a kernel are alike. The wave's length is 3/4 of the kernel's
/// side, the window's deviation a quarter of it; kernels have mean zero under their window, and the
/// mean square that weights uniform in `±limit` have.
pub fn filters(in_channels: usize, out_channels: usize, kernel: usize, limit: f32) -> Vec<f32> {
    let even = out_channels.div_ceil(2);
    let filter = |channel: usize| {
        let (index, of, phase) = if channel < even {
            (channel, even, 0.0)
        } else {
            (channel - even, out_channels - even, FRAC_PI_2)
        };
        let filter = filter(kernel, PI * index as f32 / of as f32, phase);
        let square = filter.iter().map(|weight| weight * weight).sum::<f32>() / filter.len() as f32;
        let scale = limit / (3.0 * square).sqrt();
        filter.iter().map(|weight| weight * scale).collect::<Vec<f32>>().repeat(in_channels)
    };
    (0..out_channels).flat_map(filter).collect()
}

fn filter(kernel: usize, angle: f32, phase: f32) -> Vec<f32> {
    let side = kernel as f32;
    let (deviation, wavelength) = (side / 4.0, 0.75 * side);
    let centre = (side - 1.0) / 2.0;
    let (sin, cos) = angle.sin_cos();
    let positions = || {
        (0..kernel * kernel)
            .map(move |at| ((at % kernel) as f32 - centre, (at / kernel) as f32 - centre))
    };
    let window = |(x, y): (f32, f32)| (-(x * x + y * y) / (2.0 * deviation * deviation)).exp();
    let wave = |(x, y): (f32, f32)| (TAU * (x * cos + y * sin) / wavelength + phase).cos();
    let total: f32 = positions().map(window).sum();
    let mean = positions().map(|at| window(at) * wave(at)).sum::<f32>() / total;
    positions().map(|at| window(at) * (wave(at) - mean)).collect()
}
